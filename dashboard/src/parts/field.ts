import { attribute, h, write } from './dom';

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export interface Field<C extends Control = Control> {
  root: HTMLElement;
  control: C;
  /** Says beside the field what is wrong with it; '' takes it away. */
  wrong(words: string): void;
  hint(words: string): void;
}

/** A control with its label, a hint, and a place for what is wrong with it. */
export function field<C extends Control>(id: string, label: string, control: C, hint = ''): Field<C> {
  control.id = id;
  const hinted = h('p', { class: 'note', id: `${id}-hint` }, hint);
  const wrong = h('p', { class: 'wrong', id: `${id}-wrong` });
  hinted.hidden = hint === '';
  wrong.hidden = true;
  const described = (): void => {
    const ids = [hinted, wrong].filter((one) => !one.hidden).map((one) => one.id);
    attribute(control, 'aria-describedby', ids.length > 0 ? ids.join(' ') : null);
  };
  described();
  return {
    root: h('div', { class: 'field' }, h('label', { for: id }, label), control, hinted, wrong),
    control,
    wrong: (words) => {
      write(wrong, words);
      wrong.hidden = words === '';
      attribute(control, 'aria-invalid', words === '' ? null : 'true');
      described();
    },
    hint: (words) => {
      write(hinted, words);
      hinted.hidden = words === '';
      described();
    },
  };
}

export function button(label: string, action: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = h('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', action);
  return made;
}

/** Hands a text to the person as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Puts a text into the clipboard; false where the browser does not let a page do that (over plain HTTP it may not). */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { 'aria-hidden': 'true', class: 'off-screen' });
    area.value = text;
    document.body.append(area);
    area.select();
    // The only way on a page over plain HTTP, which is where many read this page.
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}
