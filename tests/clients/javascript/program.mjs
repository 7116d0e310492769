/** A program of browser/ as one script for a page; argument 3 says which. */
import { join } from 'node:path';
import { build } from 'vite';

const lib = { entry: join(import.meta.dirname, 'browser', `${process.argv[3]}.js`), formats: ['iife'], name: 'program' };
const built = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } });
export const program = built[0].output[0].code;
