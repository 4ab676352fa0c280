/**
 * What each role can see and do, over the real console: an analyst works everywhere but administers nothing; a viewer
 * of one agency sees only that agency, writes nothing, and another agency's alert does not exist.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { shot } from './browser.mjs';
import { ask, begin, enter, REAL } from './begin.mjs';

const mark = Date.now().toString(36);
let at;
let analyst;
let viewer;
let own;
let foreign;

before(async () => {
  if (!REAL) return;
  at = await begin();
  const { body } = await ask(at.page, 'GET', '/alerts?limit=200&drill=include');
  [own] = body.alerts;
  foreign = body.alerts.find((alert) => alert.organization !== own.organization);
  assert.ok(foreign !== undefined, 'alerts of two agencies are needed');
  const join = async (login, role, organizations) => {
    const made = await ask(at.page, 'POST', '/users', { login, full_name: `Người thử ${role}`, role, organizations });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return enter(at.browser, at.base, login, made.body.password);
  };
  analyst = await join(`phan-tich-${mark}`, 'analyst', null);
  viewer = await join(`xem-${mark}`, 'agency_viewer', [own.organization]);
});
after(() => at?.end());

const only = { skip: !REAL };
const go = async ({ page }, path) => {
  await page.goto(at.base + path);
  await page.locator('[data-test=clock]').waitFor();
};

test('an analyst triages, but does not administer', only, async () => {
  const { page } = analyst;
  await go(analyst, '/alerts?state=any&drill=include');
  await page.locator('[data-test=row]').first().waitFor();
  await page.keyboard.press('x');
  await page.locator('[data-test=bulk]').waitFor();
  await page.keyboard.press('Escape');
  await go(analyst, '/sensors');
  await page.locator('table.list, .empty').first().waitFor();
  assert.equal(await page.locator('[data-test=enrol]').count(), 0);
  await go(analyst, '/admin');
  await page.locator('table.list, .empty').first().waitFor();
  await shot(page, 'analyst-admin');
  assert.equal(await page.getByText('Khóa API').count(), 0, 'no keys for an analyst');
  assert.equal((await ask(page, 'GET', '/users')).status, 403);
  assert.equal((await ask(page, 'POST', '/agencies', { id: `x-${mark}`, name: 'x', name_en: '', parent: null, level: 1 })).status, 403);
});

test('a viewer sees the own agency only', only, async () => {
  const { page } = viewer;
  await go(viewer, '/alerts?state=any&drill=include');
  await page.locator('[data-test=row]').first().waitFor();
  await shot(page, 'viewer-alerts');
  const { body } = await ask(page, 'GET', '/alerts?limit=500&drill=include');
  assert.deepEqual([...new Set(body.alerts.map((alert) => alert.organization))], [own.organization]);
  assert.equal(await page.locator('[data-test=total]').textContent().then((text) => Number.parseInt(text, 10)), body.total);
  const agencies = await ask(page, 'GET', '/agencies');
  assert.deepEqual(agencies.body.agencies.map((agency) => agency.id), [own.organization]);
  await go(viewer, '/hunt?range=30d&drill=include');
  await page.locator('[data-test=event]').first().waitFor();
  const events = await ask(page, 'GET', '/events?limit=500&drill=include');
  assert.deepEqual([...new Set(events.body.events.map((event) => event['organization.id']))], [own.organization]);
  const others = await ask(page, 'GET', `/events?drill=include&organization=${encodeURIComponent(foreign.organization)}`);
  assert.ok(others.status >= 400 || others.body.events.length === 0);
});

test('a viewer has no button that writes', only, async () => {
  const { page } = viewer;
  await go(viewer, '/alerts?state=any&drill=include');
  await page.locator('[data-test=row]').first().waitFor();
  await page.keyboard.press('x');
  await page.keyboard.press('Enter');
  await page.locator('[data-test=drawer] [data-test=why]').waitFor();
  assert.equal(await page.locator('[data-test=bulk]').count(), 0);
  assert.equal(await page.locator('[data-test=rows] input[type=checkbox], .columns input[type=checkbox]').count(), 0, 'nothing to select for one who cannot act');
  assert.equal(await page.locator('[data-test=drawer] footer button').count(), 0);
  await page.keyboard.press('e');
  await page.keyboard.press('i');
  assert.equal(await page.locator('.ant-modal').count(), 0);
  await shot(page, 'viewer-drawer');
  assert.equal(await page.locator('.rail a[href^="/admin"]').count(), 0);
  for (const path of ['/incidents', '/sensors', '/rules']) {
    await go(viewer, path);
    assert.equal(await page.locator('[data-test=enrol], [data-test=add]').count(), 0, path);
  }
  await go(viewer, '/admin/users');
  await page.locator('.empty').waitFor();
  const refused = await ask(page, 'POST', '/alerts/triage', { alerts: [{ id: own.id, version: own.version }], action: 'acknowledge' });
  assert.equal(refused.status, 403);
});

test('another agency’s alert does not exist for a viewer', only, async () => {
  const { page } = viewer;
  await go(viewer, `/alerts/${foreign.id}`);
  await page.locator('main .empty').waitFor();
  await shot(page, 'viewer-foreign');
  assert.equal(await page.locator('[data-test=why]').count(), 0);
  for (const path of [`/alerts/${foreign.id}`, `/alerts/${foreign.id}/why`, `/alerts/${foreign.id}/around`, `/events/${foreign.event_id}`]) {
    assert.equal((await ask(page, 'GET', path)).status, 404, path);
  }
});

test('nothing went wrong in their pages', only, () => {
  assert.deepEqual([...analyst.faults, ...viewer.faults], []);
});
