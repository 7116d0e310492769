import { defineConfig } from 'vitest/config';

/** Tests of a control room that runs: tests/integration/test_control_room.py gives its address and its containers. */
export default defineConfig({
  test: { include: ['browser/deployed/*.test.ts'], testTimeout: 180_000, hookTimeout: 60_000, fileParallelism: false },
});
