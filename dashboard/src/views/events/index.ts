import '../../style/events.css';
import { h } from '../../parts/dom';
import type { View } from '../view';
import { Inspector } from './inspector';
import { Log } from './log';
import { PublishForm } from './publish';
import { ResumeDemonstration } from './resume';
import { Source } from './source';

export const view: View = {
  name: 'events',
  key: '3',
  title: 'Events',
  mount(root, room) {
    let parameters: Record<string, string> = {};
    const keep = (more: Record<string, string>): void => {
      parameters = { ...parameters, ...more };
      room.keep(parameters);
    };
    const log = new Log((row) => inspector.show(row), keep);
    const source = new Source(
      room,
      {
        event: (event) => {
          log.event(event);
          publish.seen(event.id, performance.now());
        },
        note: (text) => log.note(text),
        changed: () => {
          log.refused = source.refused;
          log.changed();
        },
        cleared: () => {
          log.clear();
          inspector.close();
        },
      },
      keep,
    );
    const publish = new PublishForm(room, () => source.live);
    const resume = new ResumeDemonstration(room);
    const inspector = new Inspector({
      again: (row) => {
        publish.fill(row);
        void publish.submit().then((words) => inspector.say(words));
      },
      change: (row) => {
        publish.fill(row);
        publish.root.scrollIntoView({ block: 'nearest' });
        publish.focus();
      },
      replay: (id) => source.replay(id),
      authorized: () => room.api.token !== '',
      closed: () => log.select(null),
    });
    room.search((text) => log.search(text));
    room.escape(() => {
      if (!inspector.open) return false;
      inspector.close();
      return true;
    });
    root.append(
      h('h1', { class: 'unseen' }, 'Events'),
      h(
        'div',
        { class: 'desk' },
        h('div', { class: 'side' }, log.root, resume.root),
        h('div', { class: 'side' }, inspector.root, publish.root, source.root),
      ),
    );
    let end = (): void => {};
    let known = false;
    return {
      show(asked) {
        end();
        // Whoever comes back by the key or the link finds the view as it was left.
        if (asked.size > 0 || !known) {
          known = true;
          parameters = Object.fromEntries(asked);
          log.show(asked);
          source.show(asked);
        } else {
          room.keep(parameters);
          log.show(new URLSearchParams(parameters));
          source.show(new URLSearchParams());
        }
        end = room.clock.each(() => source.draw());
      },
      hide() {
        end();
        end = () => {};
        log.hide();
        source.hide();
        resume.hide();
      },
    };
  },
};
