import { h, write } from './dom';

/** A command that a person can copy. */
export function copied(text: string): HTMLElement {
  const button = h('button', { type: 'button', class: 'quiet', 'aria-label': `Copy ${text}` }, 'Copy');
  button.addEventListener('click', () => {
    // Without a secure origin there is no clipboard; then the text is selected, for the keys of the browser.
    const failed = (): void => {
      getSelection()?.selectAllChildren(code);
      write(button, 'Selected');
    };
    if (!navigator.clipboard) return failed();
    navigator.clipboard.writeText(text).then(() => write(button, 'Copied'), failed);
    setTimeout(() => write(button, 'Copy'), 2000);
  });
  const code = h('code', {}, text);
  return h('p', { class: 'command' }, code, button);
}
