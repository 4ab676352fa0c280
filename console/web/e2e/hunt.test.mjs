/** The hunt: words and conditions, histogram, columns, the whole event, values to narrow by, the way from an alert, files. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { shot } from './browser.mjs';
import { begin } from './begin.mjs';

let at;
let page;

before(async () => {
  at = await begin();
  ({ page } = at);
});
after(() => at?.end());

const query = () => page.locator('[data-test=hunt-query]');
const conditions = () => page.locator('[data-test=condition]');
const total = async () => Number.parseInt((await page.locator('[data-test=hunt-total]').textContent()).replaceAll('.', ''), 10);

/** Waits until `check` holds: the address changes before the page does. */
async function eventually(check, words) {
  const end = Date.now() + 30_000;
  while (!(await check())) {
    assert.ok(Date.now() < end, words);
    await page.waitForTimeout(50);
  }
}

/** Waits until the answer to the question in the address bar is shown. */
async function answered() {
  await page.locator('[data-test=hunt-total][aria-busy=false]').waitFor();
  await page.locator('[data-test=event], .hunt-body .empty').first().waitFor();
}

async function start(search = '?range=30d&drill=include') {
  await page.goto(`${at.base}/hunt${search}`);
  await answered();
}

test('a field is completed, becomes a condition, and stands in the address', async () => {
  await start();
  const all = await total();
  await shot(page, 'hunt');
  await page.keyboard.press('/');
  await page.keyboard.type('destination.po');
  await page.locator('.field-option').first().waitFor();
  await shot(page, 'hunt-completion');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await query().inputValue(), 'destination.port:');
  await page.keyboard.type('22');
  await page.keyboard.press('Enter');
  await conditions().waitFor();
  await answered();
  assert.match(page.url(), /f=is%3Adestination\.port%3A22/);
  await eventually(async () => (await total()) < all, 'the condition leaves fewer');
  const some = await total();
  assert.ok(some > 0);

  await page.reload();
  await answered();
  assert.equal(await conditions().count(), 1);
  await eventually(async () => (await total()) === some, 'the same after a reload');

  await page.goBack();
  await conditions().waitFor({ state: 'detached' });
});

test('a plain word is searched for, even while names are offered', async () => {
  await start();
  await page.keyboard.press('/');
  await page.keyboard.type('ssh');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=ssh/);
  await answered();
  assert.equal(await conditions().count(), 0);
});

test('an event opens with all its fields; its values narrow and widen', async () => {
  await start();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  const drawer = page.locator('[data-test=event-drawer]');
  await drawer.waitFor();
  await shot(page, 'hunt-event');
  const line = drawer.locator('tr', { hasText: 'event.dataset' });
  const dataset = (await line.locator('.value-line > .grow').textContent()).trim();
  await line.locator('.act').first().click();
  await page.waitForURL(/is%3Aevent\.dataset/);
  // The address is ahead of the page; a question that changes closes the drawer.
  await conditions().waitFor();
  await drawer.waitFor({ state: 'detached' });
  await answered();
  const only = await total();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.waitFor();
  await drawer.locator('tr', { hasText: 'event.dataset' }).locator('.act').nth(1).click();
  await page.waitForURL(/is_not%3Aevent\.dataset/);
  await answered();
  assert.equal(await conditions().count(), 1, 'the opposite takes its place');
  await eventually(async () => (await total()) !== only, 'the opposite finds others');
  const shown = () => page.locator('[data-test=event] > :nth-child(2)').allTextContents();
  await eventually(async () => (await shown()).every((text) => text.trim() !== dataset), 'no row has the value any more');
});

test('frequent values of a field narrow the hunt, the field becomes a column', async () => {
  await start();
  await page.locator('.hunt-fields .item', { hasText: 'source.ip' }).click();
  const values = page.locator('[data-test=top-values]');
  await values.locator('.value').first().waitFor();
  await shot(page, 'hunt-values');
  await values.locator('.chip').first().click();
  await page.locator('.event-row.head [title="source.ip"]').waitFor();
  await values.locator('.value').first().hover();
  await values.locator('.value .act').first().click();
  await conditions().waitFor();
  await answered();
  assert.match(page.url(), /columns=/);
});

test('a condition is written by hand, changed and taken away', async () => {
  await start();
  await page.locator('[data-test=add-filter]').click();
  const editor = page.locator('.filter-editor');
  await editor.locator('input').first().fill('event.dataset');
  await page.keyboard.press('Escape');
  await editor.waitFor({ state: 'visible' }).catch(() => page.locator('[data-test=add-filter]').click());
  await editor.locator('input').last().fill('sensor.dns');
  await editor.locator('button[type=submit]').click();
  await conditions().waitFor();
  await answered();
  assert.ok((await total()) > 0);
  await conditions().locator('.cross').click();
  await conditions().waitFor({ state: 'detached' });
});

test('a brush over the histogram narrows the time', async () => {
  await start();
  const drawing = page.locator('.hunt-chart svg');
  await drawing.waitFor();
  const box = await drawing.boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.4);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + box.height * 0.4, { steps: 6 });
  await page.mouse.up();
  await page.waitForURL(/range=\d+-\d+/);
});

test('what is shown is kept as a file, without formulas', async () => {
  await start();
  const save = async (entry) => {
    await page.locator('[data-test=export]').click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.locator('.ant-dropdown:visible .ant-dropdown-menu-item').nth(entry).click()]);
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') };
  };
  const table = await save(0);
  assert.match(table.name, /\.csv$/);
  assert.match(table.text.slice(0, 60), /^\ufeff"timestamp",/);
  assert.equal(/(^|,|\n)"?[=+@]/.test(table.text.slice(1)), false);
  const lines = await save(1);
  assert.match(lines.name, /\.jsonl$/);
  for (const line of lines.text.trim().split('\n')) JSON.parse(line);
});

test('events of a drill are left out unless they are asked for', async () => {
  const shown = async (press, address) => {
    if (press) await page.keyboard.press('d');
    await page.waitForURL(address);
    await page.waitForTimeout(200);
    await answered();
    return total();
  };
  await page.goto(`${at.base}/hunt?range=30d`);
  const real = await shown(false, (url) => !url.search.includes('drill'));
  const drills = await shown(true, /drill=only/);
  const both = await shown(true, /drill=include/);
  // Real ones may come in between.
  assert.ok(drills > 0 && both >= real + drills, `${real} + ${drills} of ${both}`);
  await page.locator('[data-test=event] .tag.drill').first().waitFor();
  await shot(page, 'hunt-drill');
});

test('a chart that fails says why in its place, and is tried again', async () => {
  const refuse = (route) => route.fulfill({ status: 429, contentType: 'application/json', body: JSON.stringify({ status: 429, code: 'busy', message_vi: 'Hệ thống đang bận.', message_en: 'Busy.', request_id: '019aa000-0000-7000-8000-000000000001' }) });
  await page.route('**/api/v1/events/histogram?**', refuse);
  await page.goto(`${at.base}/hunt?range=30d&drill=include`);
  const failed = page.locator('[data-test=no-histogram]');
  await failed.waitFor();
  await page.locator('[data-test=event]').first().waitFor();
  assert.match(await failed.textContent(), /019aa000/);
  await shot(page, 'hunt-no-histogram');
  await page.unroute('**/api/v1/events/histogram?**', refuse);
  await failed.locator('button').click();
  await page.locator('.hunt-chart svg').waitFor();
  assert.equal(await failed.count(), 0);
});

test('a shortened value is marked, its event opens whole', async () => {
  await page.route('**/api/v1/events?**', async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    Object.assign(body.events[0], { message: 'dài'.repeat(600), truncated: ['message'] });
    await route.fulfill({ response: answer, json: body });
  });
  await page.route('**/api/v1/events/*', async (route) => {
    const { pathname } = new URL(route.request().url());
    if (/\/(histogram|values|fields)$/.test(pathname)) return route.fallback();
    return route.fulfill({ json: { '@timestamp': new Date().toISOString(), 'event.id': pathname.split('/').at(-1), message: 'đủ cả câu' } });
  });
  await start('?range=30d&drill=include&columns=message');
  assert.match(await page.locator('[data-test=event]').first().textContent(), /…/);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=event-drawer]').getByText('đủ cả câu').first().waitFor();
  assert.equal(await page.locator('.hunt-fields .item', { hasText: 'truncated' }).count(), 0);
  await page.unrouteAll();
});

test('an alert leads to the events of its entity', async () => {
  await page.goto(`${at.base}/alerts?state=any&drill=include`);
  await page.locator('[data-test=row]').first().waitFor();
  await page.keyboard.press('o');
  await page.locator('[data-test=pivot]').click();
  await page.waitForURL(/\/hunt\?.*range=\d+-\d+/);
  await answered();
  assert.ok((await conditions().count()) >= 2);
});

test('nothing went wrong in the page itself', () => {
  assert.deepEqual(at.faults, []);
});
