import { defineConfig } from 'vitest/config';
import page from './vite.config';

export default defineConfig({ resolve: page.resolve ?? {}, test: { include: ['src/**/*.test.ts'] } });
