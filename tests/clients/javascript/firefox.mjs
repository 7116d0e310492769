/** Runs a program of browser/ in Debian's Firefox, on a page of the platform's own origin, by WebDriver BiDi (W3C). */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { program } from './program.mjs';
import { say, URL_ASKED } from './say.mjs';

// Whoever runs this ends it by force: what stays is made anew by the next one.
const profile = join(import.meta.dirname, '../../../.ansible/clients', `firefox-${process.argv[3]}`);
rmSync(profile, { recursive: true, force: true });
mkdirSync(profile, { recursive: true });
// The page is JSON, which Firefox shows with a viewer of its own origin.
writeFileSync(join(profile, 'user.js'), 'user_pref("devtools.jsonview.enabled", false);\n');
const flags = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
const firefox = spawn('firefox-esr', flags, { env: { ...process.env, HOME: profile }, stdio: ['ignore', 'ignore', 'pipe'] });
firefox.on('exit', () => process.exit(1));

const address = await new Promise((found) =>
  createInterface(firefox.stderr).on('line', (line) => {
    const told = /BiDi listening on (\S+)/.exec(line);
    if (told) found(told[1]);
  }),
);
const socket = new WebSocket(`${address}/session`);
await new Promise((open) => socket.addEventListener('open', open));
const waiting = new Map();
socket.addEventListener('message', ({ data }) => {
  const answer = JSON.parse(data);
  if (answer.method === 'script.message') say(...JSON.parse(answer.params.data.value));
  waiting.get(answer.id)?.(answer);
});
const ask = async (method, params) => {
  const id = waiting.size + 1;
  const answer = await new Promise((done) => waiting.set(id, done) && socket.send(JSON.stringify({ id, method, params })));
  if (answer.type === 'error') throw new Error(`${method}: ${answer.message}`);
  return answer.result;
};

await ask('session.new', { capabilities: {} });
await ask('session.subscribe', { events: ['script.message'] });
const { contexts } = await ask('browsingContext.getTree', {});
const { context } = contexts[0];
await ask('browsingContext.navigate', { context, url: new URL('/api/v1/channels', URL_ASKED).href, wait: 'complete' });
await ask('script.callFunction', {
  functionDeclaration: `(url, tell) => { window.url = url; window.say = (...given) => tell(JSON.stringify(given)); ${program} }`,
  arguments: [{ type: 'string', value: URL_ASKED }, { type: 'channel', value: { channel: 'say' } }],
  target: { context },
  awaitPromise: false,
});
