import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type ProxyOptions } from 'vite';

/** In an image's build the client stands inside (`.context`), in a checkout beside. */
const inside = join(import.meta.dirname, 'client');
const client = existsSync(inside) ? inside : join(import.meta.dirname, '..', 'clients', 'typescript', 'src');

/** Where /api/ goes in `npm run dev` and `vite preview`; the container's nginx does this in a deployment. */
const target = process.env['API_URL'] ?? 'http://127.0.0.1:8000';

const api: ProxyOptions = {
  target,
  configure(proxy) {
    // An upstream that dies in the middle of a stream must cut the client's stream too, as nginx does.
    proxy.on('proxyRes', (upstream, _request, response) => {
      upstream.on('close', () => {
        if (!response.writableEnded) response.destroy();
      });
    });
  },
};

export default defineConfig({
  resolve: { alias: { 'sse-platform-client': join(client, 'index.ts') } },
  build: { assetsInlineLimit: 0, modulePreload: false },
  server: { proxy: { '/api': api } },
  // The page needs nothing but its own origin: whoever serves it may be as strict as this.
  preview: { proxy: { '/api': api }, headers: { 'Content-Security-Policy': "default-src 'self'" } },
});
