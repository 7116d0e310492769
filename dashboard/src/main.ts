import { Api } from './feeds/api';
import { Files } from './feeds/files';
import { Live } from './feeds/live';
import { Platform } from './feeds/platform';
import { Prometheus } from './feeds/prometheus';
import { header } from './header';
import { now } from './logic/moment';
import { Router } from './router';
import { view as alerts } from './views/alerts';
import { view as events } from './views/events';
import { view as load } from './views/load';
import { view as overview } from './views/overview';
import { view as releases } from './views/releases';
import { view as topology } from './views/topology';
import type { Clock } from './views/view';

const VIEWS = [overview, topology, events, load, releases, alerts];

const clock: Clock = {
  now,
  each(handler) {
    const timer = setInterval(() => {
      if (!document.hidden) handler();
    }, 1000);
    return () => clearInterval(timer);
  },
};

const api = new Api();
const prometheus = new Prometheus();
const files = new Files();
const stream = new Live(api);
const platform = new Platform(api, prometheus, files);
const router = new Router(VIEWS, { api, prometheus, files, stream, platform, clock });

header(router, api, platform, clock);
platform.start();
router.start();
