import { strangeIn } from '../logic/text';
import { attribute, h, write } from './dom';

/** What keeps a token: the API feed. */
interface Keeper {
  token: string;
}

/** Opens a dialog with a title. Escape, the button and a click beside it close it; the focus then goes back. */
export function openDialog(title: string, ...content: (Node | string)[]): HTMLDialogElement {
  const close = h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close' }, '✕');
  const heading = h('h2', { id: 'dialog-title' }, title);
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'dialog-title' },
    h('div', { class: 'head' }, heading, close),
    ...content,
  );
  const from = document.activeElement;
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (from instanceof HTMLElement) from.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function tokenDialog(keeper: Keeper): void {
  const field = h('input', {
    type: 'password',
    id: 'token-field',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-describedby': 'token-note token-wrong',
  });
  const wrong = h('p', { class: 'wrong', role: 'alert', id: 'token-wrong' });
  field.value = keeper.token;
  const form = h(
    'form',
    { method: 'dialog', class: 'stacked' },
    h('label', { for: 'token-field' }, 'API key or token'),
    field,
    h(
      'p',
      { class: 'note', id: 'token-note' },
      'It is needed where authorization is on (app_auth). This tab sends it to the API with each request, and forgets it when it is closed. docs/authorization.md says how to make one.',
    ),
    wrong,
    h(
      'div',
      { class: 'actions' },
      h('button', { class: 'main' }, 'Use this token'),
      h('button', { value: 'forget' }, 'Forget it'),
    ),
  );
  const dialog = openDialog('Token', form);
  form.addEventListener('submit', (event) => {
    const forget = event.submitter instanceof HTMLButtonElement && event.submitter.value === 'forget';
    event.preventDefault();
    const token = field.value.trim().replace(/^Bearer\s+/i, '');
    const strange = forget ? null : strangeIn(token);
    if (strange !== null) {
      // A browser sends no header with such a character, so nothing would ever be answered.
      write(wrong, `No key or token has ${strange} in it: was something else copied, too?`);
      attribute(field, 'aria-invalid', 'true');
      return field.focus();
    }
    keeper.token = forget ? '' : token;
    return dialog.close();
  });
  field.focus();
}

const KEYS: [keys: string[], what: string][] = [
  [['1', '2', '3', '4', '5', '6'], 'choose a view'],
  [['/'], 'search in the view'],
  [['←', '→', '+'], 'in a chart: move the crosshair, and zoom in there'],
  [['Esc'], 'close what is open, or end the search'],
  [['?'], 'this help'],
];

export function helpDialog(): void {
  const rows = KEYS.flatMap(([keys, what]) => [
    h('dt', {}, ...keys.map((key) => h('kbd', {}, key))),
    h('dd', {}, what),
  ]);
  openDialog(
    'Keys, and where the figures come from',
    h('dl', { class: 'keys' }, ...rows),
    h(
      'p',
      { class: 'note' },
      'This page asks only the server that it came from. That server passes on /api/ to NGINX of the platform, a few read-only questions under /prom/ to Prometheus, and the health of each replica. Under /live/ are the files that each run of ./sse writes.',
    ),
    h(
      'p',
      { class: 'note' },
      'The state is that of the worst part. What is not known is shown as – and never as zero.',
    ),
  );
}
