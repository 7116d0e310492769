import type { Platform } from '../../feeds/platform';
import { ago, counted } from '../../logic/format';
import { looking, type Part, parts, sentence, worst } from '../../logic/parts';
import { runningRelease } from '../../logic/release';
import { attribute, h, rows, write } from '../../parts/dom';

/** One sentence of the worst, what changed last, who is connected; then each part with its state. */
export class Lead {
  readonly root: HTMLElement;
  private readonly sentence = h('h1', { id: 'headline' }, 'Looking…');
  private readonly changed = h('span', {}, 'Asking the platform how it is.');
  private readonly connected = h('span');
  private readonly troubles = h('ul', { class: 'troubles', 'aria-label': 'What needs a look' });
  private readonly parts = h('ul', { class: 'parts', 'aria-label': 'Parts of the platform' });

  constructor() {
    this.root = h(
      'section',
      { class: 'lead', 'aria-label': 'In one sentence' },
      h('div', { role: 'status' }, this.sentence),
      h('p', { id: 'subline' }, this.changed, ' ', this.connected),
      this.troubles,
      this.parts,
    );
  }

  draw(platform: Platform, subscribers: number | null, now: number): void {
    if (looking(platform)) return;
    const all = parts(platform, now);
    const told = sentence(all);
    write(this.sentence, told);
    attribute(this.root, 'data-state', worst(all));
    write(this.changed, changed(platform, now));
    write(this.connected, connected(platform, subscribers));
    const troubles = all.filter(
      (part) => (part.state !== 'good' || part.advice !== '') && !(part.words === told && part.advice === ''),
    );
    this.troubles.hidden = troubles.length === 0;
    // What the sentence says is not said again: what is to be done about it is.
    rows(this.troubles, troubles, trouble, (row, part) => fill(row, part, part.words === told, now));
    const chips = all
      .filter((part) => !part.name.startsWith('Alert '))
      .sort((left, right) => left.name.localeCompare(right.name));
    rows(
      this.parts,
      chips,
      () => h('li', {}, h('i'), h('span')),
      (row, part) => {
        attribute(row, 'data-state', part.state);
        attribute(
          row,
          'title',
          `${part.words} From ${part.source}${part.at === null ? '' : `, ${ago(now - part.at)}`}.`,
        );
        const [, name] = row.children;
        if (name) write(name, `${part.name}${WORDS[part.state]}`);
      },
    );
  }
}

/** The state is never told by colour alone. */
const WORDS = { good: '', unknown: ': not known', warning: ': look', bad: ': broken' };

function trouble(): HTMLElement {
  return h('li', {}, h('i'), h('p', {}, h('b'), h('span')), h('small'));
}

function fill(row: HTMLElement, part: Part, told: boolean, now: number): void {
  attribute(row, 'data-state', part.state);
  const [, text, source] = row.children;
  const [words, advice] = text?.children ?? [];
  if (!words || !advice || !source) return;
  write(words, told ? '' : part.words);
  write(advice, part.advice === '' || told ? part.advice : ` ${part.advice}`);
  write(source, `${part.source}${part.at === null ? '' : `, ${ago(now - part.at)}`}`);
}

function changed(platform: Platform, now: number): string {
  const release = runningRelease(platform.releases.value);
  if (release === null)
    return platform.releases.asked
      ? `What changed last is not known: ${platform.releases.failure?.what ?? 'the file of the runs does not say it.'}`
      : '';
  const commit = release.commit === '' ? '' : ` (${release.commit})`;
  const who = release.who === '' ? '' : ` by ${release.who}`;
  const what = release.changed === '' ? '' : `: ${release.changed.replace(/\.$/, '')}`;
  return `The last change was release ${release.number}${commit}${who}, ${ago(now - release.when)}${what}.`;
}

function connected(platform: Platform, subscribers: number | null): string {
  if (subscribers === null) return 'How many subscribers are connected is not known.';
  const replicas = platform.replicas.value?.filter((one) => one.words !== 'does not answer').length ?? 0;
  const where = replicas === 0 ? '' : ` at ${counted(replicas, 'replica')}`;
  return `${counted(subscribers, 'subscriber')} ${subscribers === 1 ? 'is' : 'are'} connected${where}.`;
}
