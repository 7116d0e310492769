import { expect, it } from 'vitest';
import { complaints as ofAxe } from '../screens';
import { page, playedStage, site } from '../stage';

/** What a view shows before anything has answered: on a slow line, somebody reads that for seconds. */
playedStage();

it.each(['overview', 'topology', 'events', 'load', 'releases', 'alerts'])(
  '%s has nothing that axe finds while no answer has come',
  async (name) => {
    await page.route(/\/(api|prometheus|live)\//, () => {}); // never answered
    await page.goto(`${site.url}/#/${name}`);
    await page.locator('main').locator('section, h1').first().waitFor();
    expect(await ofAxe(page)).toEqual([]);
  },
);
