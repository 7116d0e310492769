import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';
import { standIn } from './standin.ts';

/** In an image's build the client stands inside (`.context`), in a checkout beside. */
const inside = join(import.meta.dirname, 'client');
const client = existsSync(inside) ? inside : join(import.meta.dirname, '..', 'clients', 'typescript', 'src');

export default defineConfig({
  plugins: [standIn()],
  resolve: { alias: { 'sse-platform-client': join(client, 'index.ts') } },
  build: { assetsInlineLimit: 0, modulePreload: false },
});
