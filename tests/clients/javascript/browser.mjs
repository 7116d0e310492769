/** Runs a program of browser/ in Chromium, on a page of the platform's own origin; argument 3 says which. */
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { build } from 'vite';
import { say, URL_ASKED } from './say.mjs';

const lib = { entry: join(import.meta.dirname, 'browser', `${process.argv[3]}.js`), formats: ['iife'], name: 'program' };
const built = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } });
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage();
await page.exposeFunction('say', say);
await page.goto(new URL('/api/v1/channels', URL_ASKED).href);
await page.evaluate((url) => (window.url = url), URL_ASKED);
await page.addScriptTag({ content: built[0].output[0].code });
