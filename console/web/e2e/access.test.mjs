/** Each page can be used by everybody: axe-core finds nothing serious, the keyboard reaches everything and is seen. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { newPage } from './browser.mjs';
import { ask, begin } from './begin.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let at;
let page;

before(async () => {
  at = await begin();
  ({ page } = at);
});
after(() => at?.end());

/** Serious and critical violations of what is on the screen, each with where it is. */
async function violations() {
  await page.evaluate(() => document.fonts.ready);
  await page.waitForFunction(() => document.querySelector('.skeleton') === null);
  // Colours on their way to others are nobody's to read.
  await page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== 'running' || one.effect?.getComputedTiming().endTime === Infinity));
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations: found } = await window.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
    return found
      .filter((one) => one.impact === 'serious' || one.impact === 'critical')
      .map((one) => `${one.id}: ${one.nodes.slice(0, 4).map((node) => `${node.target.join(' ')} ${node.html.slice(0, 160)}`).join(' | ')}`);
  });
}

async function wear(shade) {
  await page.evaluate((one) => localStorage.setItem('dongson.shade', one), shade);
}

async function go(path) {
  await page.goto(at.base + path);
  await page.locator('[data-test=clock]').waitFor();
  await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => undefined);
}

const PAGES = ['/', '/alerts', '/incidents', '/hunt', '/sensors', '/rules', ...['users', 'agencies', 'assets', 'sources', 'keys', 'exceptions', 'channels', 'audit'].map((tab) => `/admin/${tab}`)];

for (const shade of ['dark', 'light']) {
  for (const path of PAGES) {
    test(`${path} in ${shade} has no serious violation`, async () => {
      await wear(shade);
      await go(path);
      assert.deepEqual(await violations(), []);
    });
  }

  test(`drawers, one alert and dialogues in ${shade} have no serious violation`, async () => {
    const faults = [];
    const look = async (name) => faults.push(...(await violations()).map((one) => `${name}: ${one}`));
    await go('/alerts?drill=include');
    await page.locator('[data-test=row]').first().waitFor();
    await page.keyboard.press('x');
    await page.keyboard.press('Enter');
    await page.locator('[data-test=drawer] [data-test=why]').waitFor();
    await look('drawer of an alert');
    await page.keyboard.press('i');
    await page.locator('.ant-modal input').first().waitFor();
    await look('raise');
    const { body } = await ask(page, 'GET', '/alerts?limit=1&drill=include');
    await go(`/alerts/${body.alerts[0].id}`);
    await page.locator('[data-test=why]').waitFor();
    await look('one alert');
    await go('/hunt?range=30d&drill=include');
    await page.locator('[data-test=event]').first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('[data-test=event-drawer]').waitFor();
    await look('drawer of an event');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.locator('.ant-modal').waitFor();
    await look('keys');
    await go('/rules');
    await page.locator('.alert.rule').first().click();
    await page.locator('.drawer .facts').waitFor();
    await look('rule');
    const { body: list } = await ask(page, 'GET', '/incidents');
    if (list.incidents.length > 0) {
      await go(`/incidents/${list.incidents[0].id}`);
      await page.locator('[data-test=incident-number]').waitFor();
      await look('incident');
    }
    await go('/sensors');
    await page.locator('[data-test=enrol]').click();
    await page.locator('.ant-modal form').waitFor();
    await look('enrolment');
    assert.deepEqual(faults, []);
  });
}

test('the sign-in has no serious violation', async () => {
  const { page: stranger } = await newPage(at.browser);
  const mine = page;
  page = stranger;
  try {
    // The stand-in knows one session for all.
    if (at.stand !== null) await page.route('**/api/v1/session', (route) => route.fulfill({ status: 401, contentType: 'application/json', body: '{}' }));
    await page.goto(at.base);
    await page.locator('input[autocomplete=username]').waitFor();
    assert.deepEqual(await violations(), []);
  } finally {
    page = mine;
  }
});

test('the tab key goes from the link to the content through rail and bars, and is always seen', async () => {
  await go('/alerts?drill=include');
  await page.locator('[data-test=row]').first().waitFor();
  const seen = [];
  for (let step = 0; step < 24; step += 1) {
    await page.keyboard.press('Tab');
    seen.push(await page.evaluate(() => {
      const one = document.activeElement;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
      const holder = one.closest('.ant-select, .ant-input-affix-wrapper, .ant-checkbox-wrapper, .ant-checkbox');
      const around = holder === null ? null : getComputedStyle(holder);
      const inner = one.parentElement?.querySelector('.ant-checkbox-inner');
      const mark = (style) => style !== null && (style.outlineStyle !== 'none' || style.boxShadow !== 'none' || style.borderColor.includes('198, 150, 74') || style.borderColor.includes('138, 90, 20'));
      return {
        name: `${one.tagName} ${one.getAttribute('aria-label') ?? one.textContent?.slice(0, 30) ?? ''}`,
        visible: (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none' || mark(around) || (inner !== undefined && inner !== null && mark(getComputedStyle(inner))),
        place: one.closest('.rail') !== null ? 'rail' : one.closest('.top') !== null ? 'top' : one.closest('main') !== null ? 'main' : one.className,
      };
    }));
  }
  assert.equal(seen[0].place, 'skip');
  assert.deepEqual([...new Set(seen.map((one) => one.place))].slice(0, 4), ['skip', 'rail', 'top', 'main']);
  assert.deepEqual(seen.filter((one) => !one.visible), []);
});

test('where motion is not wanted nothing moves', async () => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await go('/alerts?drill=include');
  const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((one) => {
    const { animationDuration, transitionDuration } = getComputedStyle(one);
    return [animationDuration, transitionDuration].some((text) => text.split(',').some((part) => Number.parseFloat(part) > 0.01));
  }).length);
  assert.equal(moving, 0);
  await page.emulateMedia({ reducedMotion: null });
});
