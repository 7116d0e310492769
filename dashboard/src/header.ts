import type { Api } from './feeds/api';
import type { Platform } from './feeds/platform';
import { ago, counted, NOTHING, percent } from './logic/format';
import { firing, holds, parts, readyOf, worst } from './logic/parts';
import { runningRelease } from './logic/release';
import { attribute, element, h, write } from './parts/dom';
import { helpDialog, tokenDialog } from './parts/dialogs';
import { nextTheme, theme } from './parts/theme';
import type { Router } from './router';
import type { Clock } from './views/view';

/** The line at the top of every page: which stack and release, how it is, and the tools. */
export function header(router: Router, api: Api, platform: Platform, clock: Clock): void {
  tools(api, platform);
  navigation(router);
  const which = element('which');
  const vitals = element('vitals');
  const [dot, replicas, alerts, slo] = [h('i', { class: 'dot' }), h('span'), h('a', { href: '#/alerts' }), h('span')];
  vitals.append(dot, replicas, alerts, slo);

  const draw = (): void => {
    const now = clock.now();
    const release = runningRelease(platform.releases.value);
    const stack = h('b', {}, release?.stack ?? 'sse');
    if (release === null) which.replaceChildren(stack);
    else {
      const commit = release.commit === '' ? '' : `${release.commit} · `;
      which.replaceChildren(
        h('span', {}, stack, ` · release ${release.number}`),
        h('span', { class: 'and' }, ' · '),
        h('span', {}, `${commit}${ago(now - release.when)}`),
      );
    }
    const ready = readyOf(platform.replicas, now);
    write(replicas, `${ready ?? NOTHING} replicas`);
    const known = holds(platform.alerts, now) ? platform.alerts.value : null;
    write(alerts, known === null ? `${NOTHING} alerts` : counted(firing(known).length, 'alert'));
    write(slo, `SLO ${percent(platform.slo.failure === null ? platform.slo.value : null)}`);
    const age = (at: number | null): string => (at === null ? '' : `, ${ago(now - at)}`);
    attribute(replicas, 'title', `Each replica, asked directly${age(platform.replicas.at)}`);
    attribute(alerts, 'title', `Prometheus${age(platform.alerts.at)}`);
    const promised = 'What was as promised in the last three days, of the worst objective';
    attribute(slo, 'title', `${promised}: by the recording rules of Prometheus${age(platform.slo.at)}`);
    const all = parts(platform, now);
    attribute(vitals, 'data-state', worst(all));
    attribute(dot, 'title', all[0]?.words ?? null);
    attribute(document.documentElement, 'data-state', worst(all));
  };
  platform.changed(draw);
  clock.each(draw);
  draw();
}

function navigation(router: Router): void {
  const links = router.views.map((view) =>
    h(
      'a',
      { href: `#/${view.name}`, 'aria-keyshortcuts': view.key },
      view.title,
      h('kbd', { 'aria-hidden': 'true' }, view.key),
    ),
  );
  element('views').append(...links);
  const field = h('input', {
    id: 'search-field',
    type: 'search',
    placeholder: 'Search',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': 'Search in this view',
    'aria-keyshortcuts': '/',
  });
  field.addEventListener('input', () => router.search(field.value));
  element('search').append(field, h('kbd', { 'aria-hidden': 'true' }, '/'));
  router.changed = () => {
    for (const [index, link] of links.entries())
      attribute(link, 'aria-current', router.views[index] === router.shown ? 'page' : null);
    links.find((link) => link.hasAttribute('aria-current'))?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    field.value = '';
  };
}

function tools(api: Api, platform: Platform): void {
  const token = h('button', { type: 'button', class: 'quiet', id: 'token' }, 'Token');
  const colours = h('button', { type: 'button', class: 'quiet', id: 'theme' });
  const help = h(
    'button',
    { type: 'button', class: 'quiet', id: 'help', 'aria-label': 'Help: keys and what this page asks' },
    '?',
  );
  const name = (): void => {
    attribute(colours, 'aria-label', `Theme: ${theme()}`);
    attribute(colours, 'title', `Theme: ${theme()}`);
    write(colours, { system: '◐', light: '☀', dark: '☾' }[theme()]);
  };
  let answered = true;
  const named = (): void => {
    const value = answered ? platform.access.value : null;
    const refused = value?.ok === false && value.answer?.status === 401;
    const [mark, words] =
      api.token === ''
        ? ['', 'This page sends no token']
        : value?.ok === true
          ? [' ✓', 'This page sends a token, which the platform accepts']
          : refused
            ? [' ✗', 'This page sends a token, which the platform does not accept']
            : [' …', 'This page sends a token'];
    write(token, `Token${mark}`);
    attribute(token, 'title', words);
  };
  token.addEventListener('click', () => tokenDialog(api));
  colours.addEventListener('click', () => {
    nextTheme();
    name();
  });
  help.addEventListener('click', () => helpDialog());
  api.onToken(() => {
    answered = false; // what the platform said before was about another token
    named();
  });
  platform.access.changed(() => {
    answered = true;
    named();
  });
  name();
  named();
  element('tools').append(token, colours, help);
}
