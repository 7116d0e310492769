import { defineConfig } from 'vite';

// A name that begins with `_` is private to a class, and gets a short one, as do those of what nobody outside sees.
const minify = {
  compress: true,
  mangle: true,
  codegen: true,
  mangleProps: { include: /^_|^(contentType|detail|milliseconds|retryAfterMs)$/ },
};

export default defineConfig({
  build: {
    target: 'es2022',
    lib: { entry: 'src/index.ts', formats: ['es'], fileName: 'index' },
    rolldownOptions: { output: { minify, comments: false } },
  },
});
