// The page in a real browser: every way to search, filters, region, keys, colors, phone width, errors, 50,000 pictures.
//
// LIKENESS_URL: a running server to test; without it the mock. Its collection must hold at least 8 readable pictures.
// What a test expects, it learns from the API. Tests that need faults make them by answering in the server's place;
// those that need 50,000 pictures, a token or known pins always use the mock.

import assert from 'node:assert/strict';
import {after, before, describe, test} from 'node:test';
import {startBrowser} from './browser.mjs';
import {discs, madeCollection} from './mock_pictures.mjs';
import {startMock} from './mock_server.mjs';

let browser;
let mock;
let url;

before(async () => {
  mock = await startMock();
  url = (process.env.LIKENESS_URL || mock.url).replace(/\/$/, '');
  browser = await startBrowser();
});
after(async () => { await browser?.close(); await mock?.close(); });

// Runs `body(page)` in a fresh context, and fails when the page threw or broke its content security policy.
async function withPage(body, {path = '/', onMock = false, base = onMock ? mock.url : url, ready = '.tile', ...options} = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 800}, colorScheme: 'light', reducedMotion: 'reduce', ...options});
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.LIKENESS_E2E_TIMEOUT ?? 10_000));
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => { if (/Content Security Policy/.test(message.text())) faults.push(message.text()); });
  try {
    await page.goto(base + path);
    if (ready) await page.waitForSelector(ready);
    await body(page, base);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

const api = async (base, path, options) => (await fetch(base + path, options)).json();
const ask = (base, body) => api(base, '/v1/search', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
// The same as multipart, as the page sends it: the code of an upload may differ in a bit from the stored one.
const askFile = (base, {file}, request) => {
  const body = new FormData();
  body.append('image', new Blob([file.buffer], {type: file.mimeType}), file.name);
  body.append('request', new Blob([JSON.stringify(request)], {type: 'application/json'}));
  return api(base, '/v1/search', {method: 'POST', body});
};
const shown = (page) => page.$$eval('#answer-grid .tile', (tiles) => tiles.map((tile) => [Number(tile.dataset.index), tile.dataset.signature]));
// Waits until the node says this: a click returns before what it asks for has come.
const says = (page, selector, words) => page.locator(selector).filter({hasText: words}).first().waitFor();
const answered = (page) => page.waitForFunction(() => !document.getElementById('search').hasAttribute('aria-busy') && document.querySelector('#summary b'));

// The tiles near the viewport are those that the answer has at their places.
async function assertShows(page, results) {
  const tiles = await shown(page);
  assert.ok(tiles.length >= Math.min(results.length, 4), `${tiles.length} tiles`);
  for (const [index, signature] of tiles) assert.equal(signature, results[index].signature, `result ${index}`);
}

// The bytes of a picture of the collection, that a browser can show.
async function sample(base) {
  const {images} = await api(base, '/v1/images?limit=8');
  for (const {signature} of images) {
    const facts = await api(base, `/v1/images/${signature}`);
    if (!['jpeg', 'png', 'webp'].includes(facts.format)) continue;
    const bytes = Buffer.from(await (await fetch(`${base}/v1/images/${signature}/pixels`)).arrayBuffer());
    return {facts, bytes, file: {name: `query.${facts.format}`, mimeType: `image/${facts.format}`, buffer: bytes}};
  }
  throw new Error('none of the first 8 pictures is a JPEG, PNG or WebP');
}

// Gives a file to the page as an event of the browser: 'drop' or 'paste'.
const give = (page, kind, {file}) => page.evaluate(async ([name, type, mime, base64]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, {type: mime}));
  const init = {bubbles: true, cancelable: true};
  if (type === 'drop') {
    for (const step of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(step, {...init, dataTransfer: data}));
  } else document.body.dispatchEvent(new ClipboardEvent('paste', {...init, clipboardData: data}));
}, [file.name, kind, file.mimeType, file.buffer.toString('base64')]);

// Each test has a browser context of its own, so some may run side by side. The one that measures time comes after, alone.
describe('the page', {concurrency: 3}, () => {
  for (const kind of ['drop', 'paste', 'pick']) {
    test(`search by ${kind}`, () => withPage(async (page, base) => {
      const picture = await sample(base);
      if (kind === 'pick') await page.setInputFiles('#file', picture.file);
      else await give(page, kind, picture);
      await page.waitForURL(`**/?signature=${picture.facts.signature}`);
      await answered(page);
      const {results} = await askFile(base, picture, {k: 48});
      await assertShows(page, results);
      assert.equal(await page.locator('#drop').isVisible(), false);
      assert.match(await page.locator('#summary').textContent(), /\d ms/);
      await page.waitForFunction(() => document.querySelector('.stage img').naturalWidth > 0);
    }));
  }

  test('search by click, with scores, evidence, Back and Forward', () => withPage(async (page, base) => {
    const tile = page.locator('#browse-grid .tile').nth(2);
    const signature = await tile.getAttribute('data-signature');
    await tile.locator('a').click();
    await page.waitForURL(`**/?signature=${signature}`);
    await answered(page);
    const {results, ranking, coverage} = await ask(base, {signature, k: 48});
    await assertShows(page, results);
    const first = page.locator('#answer-grid .tile[data-index="0"]');
    const {evidence, score} = results[0];
    assert.equal(await first.locator('.score b').textContent(), score.toFixed(2));
    const why = first.locator('.why-line');
    const own = ranking.calibration === 'home';
    assert.match(await why.textContent(), own ? /^\d+ % sure/ : new RegExp(`^${evidence.hamming_bits}/${evidence.code_bits} bits`));
    assert.match(await why.getAttribute('title'), new RegExp(`${evidence.hamming_bits} of ${evidence.code_bits} bits`));
    assert.ok((await page.locator('#summary').textContent()).includes(coverage.images.toLocaleString('en-US')));
    await page.goBack();
    await page.waitForSelector('#browse-grid .tile');
    assert.equal(await page.locator('#search').isVisible(), false);
    await page.goForward();
    await answered(page);
    await assertShows(page, results);
  }));

  test('a picture that shows the query in a part of it says where', () => withPage(async (page, base) => {
    const {images: [{signature}]} = await api(base, '/v1/images?limit=1');
    await page.goto(`${base}/?signature=${signature}`);
    await answered(page);
    const {results} = await ask(base, {signature, k: 48});
    const at = results.findIndex(({evidence}) => evidence.tokens);
    const tile = page.locator(`#answer-grid .tile[data-index="${at}"]`);
    await tile.scrollIntoViewIfNeeded();
    const {verified, pairs, region} = results[at].evidence.tokens;
    assert.ok((await tile.locator('.why-line').textContent()).includes(`${verified} points`));
    assert.equal(await tile.locator('.frame .outline .stroke').getAttribute('points'), region.map((point) => point.join(',')).join(' '));
    await tile.hover();
    await tile.locator('.tile-info').click();
    await says(page, '#detail .why', `${verified} of ${pairs}`);
    const [frame, picture] = await Promise.all(['.framed .outline', '.framed img'].map((name) => page.locator(`#detail ${name}`).boundingBox()));
    for (const side of ['x', 'y', 'width', 'height']) assert.ok(Math.abs(frame[side] - picture[side]) < 1, `${side}: ${frame[side]}, ${picture[side]}`);
  }, {onMock: true}));

  test('search by region: drawn, adjusted by keys, shared by address, cleared', () => withPage(async (page, base) => {
    const {facts} = await sample(base);
    await page.goto(`${base}/?signature=${facts.signature}`);
    await answered(page);
    const {results: whole} = await ask(base, {signature: facts.signature, k: 48});
    const stage = await page.locator('.stage').boundingBox();
    await page.mouse.move(stage.x + stage.width * 0.25, stage.y + stage.height * 0.25);
    await page.mouse.down();
    await page.mouse.move(stage.x + stage.width * 0.75, stage.y + stage.height * 0.65, {steps: 4});
    await page.mouse.up();
    await page.waitForURL(/region=/);
    await answered(page);
    const read = () => { const [x, y, width, height] = new URL(page.url()).searchParams.get('region').split(',').map(Number); return {x, y, width, height}; };
    const region = read();
    const near = (value, wanted, what) => assert.ok(Math.abs(value - wanted) <= Math.max(3, wanted * 0.03), `${what} is ${value}, drawn ${wanted}`);
    near(region.x, facts.width * 0.25, 'x');
    near(region.y, facts.height * 0.25, 'y');
    near(region.width, facts.width * 0.5, 'width');
    near(region.height, facts.height * 0.4, 'height');
    await assertShows(page, (await ask(base, {signature: facts.signature, k: 48, region})).results);

    await page.locator('.region').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Shift+ArrowDown');
    await page.waitForFunction((old) => new URL(location).searchParams.get('region') !== old, new URL(page.url()).searchParams.get('region'));
    await answered(page);
    const moved = read();
    assert.ok(moved.x < region.x && moved.height > region.height && moved.width === region.width, JSON.stringify([region, moved]));

    await page.reload();
    await answered(page);
    await assertShows(page, (await ask(base, {signature: facts.signature, k: 48, region: moved})).results);
    await page.locator('#region-button').click();
    await page.waitForURL((address) => !address.searchParams.has('region'));
    await answered(page);
    await assertShows(page, whole);
    assert.equal(await page.locator('.region').isVisible(), false);
  }));

  test('a region of an uploaded file sends the file again', () => withPage(async (page) => {
    const file = {name: 'mine.png', mimeType: 'image/png', buffer: discs(77, 300, 200)};
    await page.setInputFiles('#file', file);
    await page.waitForURL(/signature=/);
    await answered(page);
    const [request] = await Promise.all([page.waitForRequest('**/v1/search'), page.keyboard.press('r')]);
    assert.match(request.headers()['content-type'], /^multipart\/form-data/);
    await page.waitForURL(/region=75,50,150,100/);
    await answered(page);
    await page.waitForSelector('#answer-grid .tile');
  }));

  test('a file of the user is taken into the collection, found by all, and taken out again', () => withPage(async (page, base) => {
    const {total} = await api(base, '/v1/images?limit=1');
    await page.setInputFiles('#file', {name: 'new.png', mimeType: 'image/png', buffer: discs(200, 310, 220)});
    await page.waitForURL(/signature=/);
    const signature = new URL(page.url()).searchParams.get('signature');
    assert.equal((await fetch(`${base}/v1/images/${signature}`)).status, 404);
    await page.locator('.change .add').click();
    await page.locator('.change-form input[name=description]').fill('<b>a disc</b> of mine');
    await page.locator('.change-form input[name=board]').fill('of mine');
    await Promise.all([page.waitForResponse((answer) => answer.request().method() === 'POST' && answer.url().endsWith('/v1/images')), page.locator('.change-form .primary').click()]);
    await page.getByText('The collection has this very picture.').waitFor();
    await page.waitForFunction((mine) => document.querySelector('#answer-grid .tile[data-index="0"]')?.dataset.signature === mine, signature);
    const known = await api(base, `/v1/images/${signature}`);
    assert.equal(known.pins[0].description, '<b>a disc</b> of mine');
    assert.equal(known.pins[0].board, 'of mine');

    await page.goto(`${base}/?signature=${signature}&show=${signature}`);
    await answered(page);
    await page.locator('#detail .remove').click();
    await page.keyboard.press('Escape');  // nothing is lost by closing
    await page.goto(`${base}/?signature=${signature}&show=${signature}`);
    await page.locator('#detail .remove').click();
    await page.locator('#detail .never').click();
    assert.equal((await fetch(`${base}/v1/images/${signature}`)).status, 200);
    await page.locator('#detail .remove').click();
    await page.locator('#detail .change-form .primary').click();
    await page.waitForURL((address) => !address.search);
    await page.waitForSelector('.tile');
    assert.equal((await fetch(`${base}/v1/images/${signature}`)).status, 404);
    assert.equal((await api(base, '/v1/images?limit=1')).total, total);
  }));

  test('a server that takes no pictures in says so beside the button', () => withPage(async (page) => {
    await page.route('**/v1/images', (route) => (route.request().method() === 'POST' ?
        route.fulfill({status: 409, contentType: 'application/json', body: JSON.stringify({error: {code: 'failed_precondition', message: 'Another process takes pictures in.'}})}) : route.continue()));
    await page.setInputFiles('#file', {name: 'new.png', mimeType: 'image/png', buffer: discs(201, 310, 220)});
    await page.waitForURL(/signature=/);
    await page.locator('.change .add').click();
    await page.locator('.change-form .primary').click();
    await says(page, '.change .trouble', 'Another process takes pictures in.');
    await page.locator('.change-form .primary:enabled').waitFor();
  }));

  test('words and boards narrow the collection and the results', () => withPage(async (page, base) => {
    const {boards} = await api(base, '/v1/boards');
    assert.ok(boards.length > 1, 'the collection needs two boards');
    const {board, title} = boards[0];
    const chip = page.locator('#boards .chip').nth(1);  // the first is for all
    assert.ok((await chip.textContent()).startsWith(title || board));
    await chip.click();
    await page.waitForURL((address) => address.searchParams.get('board') === board);
    const {total, images: [one]} = await api(base, `/v1/images?limit=1&board=${encodeURIComponent(board)}`);
    await page.waitForFunction((n) => document.getElementById('lead').textContent.startsWith(n), total.toLocaleString('en-US'));
    await page.locator('#browse-grid .tile a').first().click();
    await answered(page);
    await assertShows(page, (await ask(base, {signature: one.signature, k: 48, board})).results);
    await page.locator('#text').fill('zzqqxxnothing');
    await page.waitForSelector('#answer-note .notice');
    await page.locator('#answer-note button').click();
    await page.waitForURL(`**/?signature=${one.signature}`);
    await page.keyboard.press('Escape');
    await page.waitForURL(`${base}/`);
    const words = (await api(base, '/v1/images?limit=100')).images.flatMap((one) => `${one.description} ${one.board_title}`.split(/\s+/));
    const word = words.find((one) => /^[a-z]{3,}$/i.test(one));
    await page.keyboard.press('/');
    await page.keyboard.type(word);
    await page.waitForURL((address) => address.searchParams.get('text') === word);
    const found = await api(base, `/v1/images?limit=1&text=${encodeURIComponent(word)}`);
    await page.waitForFunction((n) => document.getElementById('lead').textContent.startsWith(n), found.total.toLocaleString('en-US'));
  }));

  test('the keyboard alone: grid, details, search, help, back', () => withPage(async (page) => {
    const active = () => page.evaluate(() => Number(document.activeElement.closest('.tile')?.dataset.index ?? -1));
    await page.keyboard.press('ArrowDown');
    assert.equal(await active(), 0);
    await page.keyboard.press('ArrowRight');
    assert.equal(await active(), 1);
    await page.keyboard.press('ArrowDown');
    const below = await active();
    assert.ok(below > 1);
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Home');
    assert.equal(await active(), 0);
    assert.equal(await page.locator('#browse-grid a[tabindex="0"]').count(), 1);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, 'solid');
    const signature = await page.evaluate(() => document.activeElement.closest('.tile').dataset.signature);
    await page.keyboard.press('i');
    await page.waitForSelector('#detail[open] h2');
    assert.match(page.url(), new RegExp(`show=${signature}`));
    await page.keyboard.press('Escape');
    await page.waitForURL((address) => !address.searchParams.has('show'));
    assert.equal(await active(), 0, 'the keyboard is back on the picture');
    await page.keyboard.press('?');
    await page.waitForSelector('#help[open]');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/?signature=${signature}`);
    await answered(page);
    await page.keyboard.press('Escape');
    await page.waitForSelector('#browse-grid .tile');
    await page.keyboard.press('End');
    await page.waitForFunction(() => document.activeElement.closest('.tile')?.getAttribute('aria-posinset') === document.activeElement.closest('.tile')?.getAttribute('aria-setsize'));
  }));

  test('details: evidence, pins, features; text of pins is never HTML, links only http and https', () => withPage(async (page, base) => {
    const hostile = mock.collection.items[5].signature;
    await page.goto(`${base}/?signature=${hostile}`);
    await answered(page);
    await page.locator('#answer-grid .tile').first().hover();
    await page.locator('#answer-grid .tile-info').first().click();
    await page.waitForSelector('#detail[open] .why');
    const text = await page.locator('#detail').textContent();
    assert.match(text, /0 of 512/);
    assert.match(text, /deep\.mock/);
    assert.ok(text.includes('<b>bold</b> hostile'));
    assert.equal(await page.locator('#detail a[href^="javascript"], #detail .said b').count(), 0);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await page.waitForFunction(() => document.querySelector('#detail img').naturalWidth > 0);
    await page.goto(`${base}/?show=${mock.collection.items[1].signature}`);
    const link = page.locator('#detail a.foreign').first();
    assert.match(await link.getAttribute('rel'), /noopener/);
    await page.getByRole('button', {name: 'Search like this'}).click();
    await page.waitForURL(`**/?signature=${mock.collection.items[1].signature}`);
  }, {onMock: true}));

  for (const calibration of ['home', 'shipped', undefined]) {
    test(`how sure a result is, is told where the home was calibrated: ${calibration}`, () => withPage(async (page, base) => {
      await page.route('**/v1/search', async (route) => {
        const answer = await (await route.fetch()).json();
        for (const {evidence} of answer.results) evidence.probability = 0.87;
        await route.fulfill({json: {...answer, ranking: {...answer.ranking, calibration}}});
      });
      const says = async () => {
        await answered(page);
        const tile = page.locator('#answer-grid .tile').first();
        const line = await tile.locator('.why-line').textContent();
        await tile.hover();
        await tile.locator('.tile-info').click();
        const why = await page.locator('#detail[open] .why').textContent();
        await page.keyboard.press('Escape');
        return [/87 % sure/.test(line), /\d+\/\d+ bits/.test(line), /Probably relevant/.test(why)];
      };
      const own = calibration === 'home';
      const picture = await sample(base);
      await page.setInputFiles('#file', picture.file);
      await page.waitForURL(`**/?signature=${picture.facts.signature}`);
      assert.deepEqual(await says(), [own, !own, own], 'of an upload');
      const tile = page.locator('#answer-grid .tile').nth(1);
      const signature = await tile.getAttribute('data-signature');
      await tile.locator('a').click();
      await page.waitForURL(`**/?signature=${signature}`);
      assert.deepEqual(await says(), [own, !own, own], 'of a picture of the collection');
    }));
  }

  test('colors: a swatch of the details finds everything in it, beside a picture the same look in it', () => withPage(async (page, base) => {
    const {signature} = mock.collection.items[3];
    await page.goto(`${base}/?show=${signature}`);
    const swatches = page.locator('#detail .palette .swatch');
    await swatches.first().waitFor();
    const color = await swatches.first().getAttribute('data-color');
    await swatches.first().click();
    await page.waitForURL((address) => address.searchParams.get('color') === color && !address.searchParams.has('show'));
    await answered(page);
    await assertShows(page, (await ask(base, {color, k: 48})).results);
    assert.equal(await page.locator('.stage').isVisible(), false);
    assert.equal(await page.locator('.wanted').evaluate((node) => getComputedStyle(node).backgroundColor), 
      `rgb(${[1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)).join(', ')})`);
    assert.match(await page.locator('#answer-grid .tile').first().textContent(), / % in this color/);

    await page.goto(`${base}/?signature=${signature}`);
    await answered(page);
    await page.locator('.color-tool .swatch[aria-label="Red"]').click();
    await page.waitForURL((address) => address.searchParams.get('color') === '#c8202a' && address.searchParams.get('signature') === signature);
    await answered(page);
    await page.waitForFunction(() => document.querySelector('#answer-grid .strip'));
    await assertShows(page, (await ask(base, {signature, color: '#c8202a', k: 48})).results);
    assert.equal(await page.locator('.color-tool .swatch[aria-pressed="true"]').count(), 1);
    await page.keyboard.press('Escape');
    await page.waitForURL(`${base}/?signature=${signature}`);
    await page.locator('.color-tool input').fill('#123456');
    await page.locator('.color-tool input').dispatchEvent('change');
    await page.waitForURL((address) => address.searchParams.get('color') === '#123456');
    await page.goBack();
    await page.waitForURL(`${base}/?signature=${signature}`);
  }, {onMock: true}));

  test('more results, and details over them', () => withPage(async (page, base) => {
    await page.locator('#browse-grid a').first().click();
    await answered(page);
    assert.equal(await page.locator('#summary b').textContent(), '48 results');
    await page.locator('#more button').click();
    await page.waitForFunction(() => document.querySelector('#summary b').textContent === '192 results');
    const signature = new URL(page.url()).searchParams.get('signature');
    await page.goto(`${base}/?signature=${signature}&show=${mock.collection.items[7].signature}`);
    await page.waitForSelector('#detail[open] h2');
    await page.keyboard.press('Escape');
    await page.waitForURL(`**/?signature=${signature}`);
    assert.equal(await page.locator('#detail').isVisible(), false);
  }, {onMock: true}));

  test('status: pictures, release, cells, and what could not be read', () => withPage(async (page, base) => {
    const status = await api(base, '/v1/status');
    await page.locator('#open-status').click();
    await page.waitForSelector('#status .figures');
    const text = await page.locator('#status').textContent();
    assert.ok(text.includes(status.images.toLocaleString('en-US')));
    assert.ok(text.includes(status.release.name));
    for (const {source, reason} of status.quarantined.slice(0, 3)) assert.ok(text.includes(source) && text.includes(reason));
    const squares = new Set(status.cells.map((cell) => `${cell.feature} ${cell.epoch}`)).size;
    assert.equal(await page.locator('#status .cells .cell:not(.none)').count(), squares);
  }));


  test('status: the cells fill while a run goes, and stop asking when it is closed', () => withPage(async (page) => {
    let parts = 0;
    let asked = 0;
    await page.route('**/v1/status', async (route) => {
      asked += 1;
      const body = await (await route.fetch()).json();
      body.part_images = 100;
      body.cells = [0, 1].map((shard) => ({feature: 'color/000002', epoch: '2025-06-01', shard, images: 400, parts, state: parts > 3 ? 'done' : 'running'}));
      body.tasks = [{chunk: 'aa/2025-06-01/00000/0-100', worker: 'far.1.0', attempt: 2, lease_seconds_left: 41.5}];
      body.workers = [];
      body.queue = {waiting: 0, leased: 1, oldest_seconds: 1, chunks_per_second: 0};
      await route.fulfill({json: body});
    });
    await page.locator('#open-status').click();
    await page.waitForSelector('#status .cells .cell.running');
    assert.equal(await page.locator('#status .cells .cell .number').textContent(), '0 %');
    assert.match(await page.locator('#status .workers').textContent(), /far\.1\.0.*no sign of life.*attempt 2/);
    parts = 1;
    await page.waitForFunction(() => document.querySelector('#status .cells .cell .number')?.textContent === '25 %');
    parts = 4;
    await page.waitForSelector('#status .cells .cell.done');
    await page.locator('#status .close').click();
    const before = asked;
    await page.waitForTimeout(2500);
    assert.equal(asked, before);
  }));
  test('light and dark: by preference, and by the toggle, which is remembered', () => withPage(async (page) => {
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await ground();
    assert.equal(await page.locator('#toggle-theme').getAttribute('aria-pressed'), 'true');
    await page.locator('#toggle-theme').click();
    const light = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    await page.waitForSelector('.tile');
    assert.equal(await ground(), light);
  }, {colorScheme: 'dark'}));

  test('phone width: nothing scrolls sideways, a finger draws a region', () => withPage(async (page, base) => {
    const sideways = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(await sideways() <= 0);
    const {facts} = await sample(base);
    await page.goto(`${base}/?signature=${facts.signature}`);
    await answered(page);
    assert.ok(await sideways() <= 0);
    const box = await page.locator('.stage').boundingBox();
    const touch = await page.context().newCDPSession(page);
    const at = (fx, fy) => [{x: box.x + box.width * fx, y: box.y + box.height * fy}];
    await touch.send('Input.dispatchTouchEvent', {type: 'touchStart', touchPoints: at(0.2, 0.2)});
    await touch.send('Input.dispatchTouchEvent', {type: 'touchMove', touchPoints: at(0.5, 0.5)});
    // The finger rests at times: moves without any time between them are a fling, which swallows the next tap.
    await page.waitForTimeout(50);
    for (let i = 0; i < 3; i++) {
      await touch.send('Input.dispatchTouchEvent', {type: 'touchMove', touchPoints: at(0.8, 0.7)});
      await page.waitForTimeout(50);
    }
    await touch.send('Input.dispatchTouchEvent', {type: 'touchEnd', touchPoints: []});
    await page.waitForURL(/region=/);
    await answered(page);
    await page.locator('#open-status').tap();
    await page.waitForSelector('#status .figures');
    assert.ok(await sideways() <= 0);
  }, {viewport: {width: 375, height: 740}, hasTouch: true, isMobile: true}));

  const fault = (status, code, message, headers = {}) => (route) =>
    route.fulfill({status, headers, contentType: 'application/json', body: JSON.stringify({error: {code, message}})});

  test('422: says that the picture cannot be read, and why', () => withPage(async (page) => {
    await page.setInputFiles('#file', {name: 'broken.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('this is no picture')});
    const notice = page.locator('#answer-note .notice.error');
    await notice.waitFor();
    assert.match(await notice.textContent(), /cannot be read/i);
    await notice.locator('button', {hasText: 'All pictures'}).click();
    await page.waitForSelector('#browse-grid .tile');
  }));

  test('413 and a server that is gone: a sentence each', () => withPage(async (page) => {
    await page.route('**/v1/search', fault(413, 'resource_exhausted', 'The body is larger than 64 MiB.'));
    await page.locator('#browse-grid a').first().click();
    await says(page, '#answer-note .notice.error', /too large/);
    await page.unroute('**/v1/search');
    await page.route('**/v1/search', (route) => route.abort());
    await page.goBack();
    await page.locator('#browse-grid a').first().click();
    await page.waitForFunction(() => /No answer/.test(document.getElementById('answer-note').textContent));
    await page.unroute('**/v1/search');
    await page.locator('#answer-note button', {hasText: 'Try again'}).click();
    await page.waitForSelector('#answer-grid .tile');
  }));

  test('503: waits as long as the server says, then tries again by itself', () => withPage(async (page) => {
    let asked = 0;
    await page.route('**/v1/search', (route) => {
      asked += 1;
      return asked === 1 ? fault(503, 'unavailable', 'The server is busy; ask again in 1 s.', {'Retry-After': '1'})(route) : route.continue();
    });
    await page.locator('#browse-grid a').first().click();
    await says(page, '#answer-note .notice.error', /Trying again in 1 s/);
    await page.waitForSelector('#answer-grid .tile');
    assert.equal(asked, 2);
  }));

  test('an empty collection, and an upload that is not kept over a reload', async () => {
    const empty = await startMock({collection: madeCollection(0)});
    try {
      await withPage((page) => says(page, '#browse-note', /likeness add/), {base: empty.url, ready: '.notice'});
      await withPage(async (page, base) => { await page.waitForURL(`${base}/`); await says(page, '#toast', /not kept/); }, {path: '/?upload=9'});
    } finally { await empty.close(); }
  });

  test('401: asks once for the token, then shows pictures too', async () => {
    const guarded = await startMock({token: 'open sesame'});
    try {
      await withPage(async (page) => {
        await page.waitForSelector('#token[open]');
        await page.fill('#token-value', 'wrong');
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => /does not accept/.test(document.getElementById('token-text').textContent));
        await page.fill('#token-value', 'open sesame');
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => document.querySelectorAll('.tile img.ready').length > 5);
        await page.reload();
        await page.waitForFunction(() => document.querySelectorAll('.tile img.ready').length > 5);
        assert.equal(await page.locator('#token').isVisible(), false);
      }, {base: guarded.url, ready: null});
    } finally { await guarded.close(); }
  });
});

// A mock with pictures that it has more than once.
async function withTwins(body, options = {}) {
  const twins = await startMock({collection: Object.assign(madeCollection(40, 6), {runs: options.runs ?? 0})});
  try {
    await withPage((page) => body(page, twins), {base: twins.url, path: '/?duplicates=all', ready: '.cluster, progress', ...options});
  } finally { await twins.close(); }
}
const corners = (page, selector) => page.$eval(selector, (node) => { const box = node.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom]; });

test('duplicates: groups, each member marked and with what became of it', async () => {
  await withTwins(async (page, twins) => {
    await page.waitForSelector('.cluster');
    const shown = await page.$$eval('.cluster', (nodes) => nodes.map((node) => node.querySelectorAll('.match').length));
    assert.deepEqual(shown, twins.collection.groups.map(({altered}) => altered.filter(({verdict}) => verdict === 'same').length));
    const said = await page.$$eval('.cluster:nth-child(2) .match', (nodes) => nodes.map((node) => [node.querySelector('.verdict').textContent, node.querySelector('.change').textContent]));
    assert.deepEqual(said.map(([verdict]) => verdict), said.map(() => '=Same'));
    assert.deepEqual(said.map(([, change]) => change), ['scaled to 50 %', 'cropped to 42 %', 'mirrored', 'turned 90° right', '24 % added around it']);
    assert.equal(await page.title(), 'Duplicates · Likeness');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#browse .tile');
    assert.equal(new URL(page.url()).search, '');
    await page.goBack();
    await page.waitForSelector('#duplicates .cluster >> visible=true');
  }, {runs: 2});
});

test('duplicates: one picture laid upon the other by the evidence, with keys alone', async () => {
  await withTwins(async (page) => {
    await page.locator('.cluster:nth-child(2) .match').nth(1).focus();  // cropped
    await page.keyboard.press('Enter');
    await page.waitForSelector('#compare[open] .sides img.ready');
    assert.equal(await page.locator('#compare-title').textContent(), '=Same photograph');
    // The outline in the first picture is where the second one was cut out.
    const [frame, line] = [await corners(page, '.side-frame'), await corners(page, '.side-frame .stroke')];
    const share = (at, from, to) => (at - from) / (to - from);
    for (const [got, want] of [[share(line[0], frame[0], frame[2]), 0.2], [share(line[2], frame[0], frame[2]), 0.8], [share(line[1], frame[1], frame[3]), 0.15], [share(line[3], frame[1], frame[3]), 0.85]]) {
      assert.ok(Math.abs(got - want) < 0.02, `${got} is not ${want}`);
    }
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('#compare .slider .veil img.ready');
    const [below, above] = [await corners(page, '.sheet-of-two > img'), await corners(page, '.veil img')];
    for (const [got, want] of [[share(below[0], above[0], above[2]), 0.2], [share(below[2], above[0], above[2]), 0.8], [share(below[1], above[1], above[3]), 0.15], [share(below[3], above[1], above[3]), 0.85]]) {
      assert.ok(Math.abs(got - want) < 0.02, `${got} is not ${want}`);
    }
    await page.locator('#compare input[type="range"]').focus();
    await page.keyboard.press('Home');
    assert.match(await page.$eval('.veil', (veil) => veil.style.clipPath), /100%/);
    await page.locator('#compare [data-way="slider"]').focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('#compare .blink');
    assert.equal(await page.locator('#compare .overlay-tools button').textContent(), 'Swap', 'nothing moves for who asked for no motion');
    await page.locator('#compare .overlay-tools button').click();
    assert.equal(await page.locator('#compare .overlay-tools [role="status"]').textContent(), 'Second');
    await page.keyboard.press('n');
    await page.waitForFunction(() => document.querySelector('#compare .steps [role="status"]').textContent === '3 of 5');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#compare[open]').count(), 0);
    assert.equal(await page.evaluate(() => document.activeElement.className), 'match same', 'focus is where it was');
  });
});

test('duplicates of one picture: in its details, and of a file of the user', async () => {
  await withTwins(async (page, twins) => {
    const {first} = twins.collection.groups[1];
    await page.goto(`${twins.url}/?show=${first.signature}`);
    await page.locator('.detail .duplicates-of button').click();
    await page.waitForSelector('.detail .match.similar');
    assert.equal(await page.locator('.detail .duplicates-of b').first().textContent(), '5 the same, 1 similar');
    assert.equal(await page.locator('.detail .match.similar .change').textContent(), 'another photograph');
    const bytes = Buffer.from(await (await fetch(`${twins.url}/v1/images/${first.signature}/pixels`)).arrayBuffer());
    await page.goto(twins.url);
    await page.setInputFiles('#file', {name: 'mine.png', mimeType: 'image/png', buffer: bytes});
    await answered(page);
    await page.locator('.query .duplicates-of button').click();
    await page.locator('.query .match').first().click();
    await page.waitForSelector('#compare[open] img.ready');
    await says(page, '#compare figcaption', /mine\.png/);
  });
});

test('duplicates on a narrow screen: nothing is wider than it', async () => {
  await withTwins(async (page) => {
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('dialog[open] *')].every((node) => node.closest('.ways, .sheet-of-two') || node.getBoundingClientRect().right <= innerWidth + 1));
    assert.ok(await fits());
    await page.locator('.cluster:nth-child(2) .match').nth(4).click();
    for (const way of ['sides', 'slider', 'blink', 'difference']) {
      await page.locator(`[data-way="${way}"]`).click();
      assert.ok(await fits(), way);
    }
  }, {viewport: {width: 360, height: 740}});
});

test('50,000 pictures: few nodes, jumps load only what they show, no long task', async () => {
  const large = await startMock({collection: madeCollection(50_000)});
  try {
    await withPage(async (page) => {
      const watch = () => {
        window.longest = 0;
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration); }).observe({entryTypes: ['longtask']});
      };
      await page.evaluate(watch);
      // That long tasks are seen at all is tried first.
      await page.evaluate(() => setTimeout(() => { const end = performance.now() + 90; while (performance.now() < end); }));
      await page.waitForFunction(() => window.longest >= 80);
      await page.evaluate(() => { window.longest = 0; });
      let pages = 0;
      page.on('request', (request) => { if (/\/v1\/images\?/.test(request.url())) pages += 1; });
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      assert.ok(height > 500_000, `the scrollbar stands for all pictures: ${height} px`);
      const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
      const settled = () => page.waitForFunction(() => {
        const tiles = [...document.querySelectorAll('.tile')].map((tile) => tile.getBoundingClientRect());
        return tiles.some((box) => box.bottom > 200 && box.top < innerHeight) && document.querySelectorAll('.tile img.ready').length > 10;
      });
      const times = [];
      for (const share of [0.5, 0.97, 0.13, 0.74]) {
        const begin = performance.now();
        await page.evaluate((y) => scrollTo(0, y), height * share);
        await page.waitForTimeout(60);
        await settled();
        times.push(performance.now() - begin);
        const first = await page.evaluate(() => Math.min(...[...document.querySelectorAll('.tile')].map((tile) => Number(tile.dataset.index))));
        assert.ok(Math.abs(first / 50_000 - share) < 0.03, `picture ${first} is at ${share} of the scrollbar`);
        assert.ok(await nodes() < 1500, `${await nodes()} nodes`);
      }
      assert.ok(pages <= 4 * 4, `${pages} pages of pictures for 4 jumps`);
      assert.ok(Math.max(...times) < 2000, `jumps took ${times.map(Math.round)} ms`);
      // A reload comes back to the same pictures.
      await page.waitForTimeout(300);
      await page.reload();
      await page.waitForFunction(() => document.querySelectorAll('.tile img.ready').length > 10);
      const again = await page.evaluate(() => Math.min(...[...document.querySelectorAll('.tile')].map((tile) => Number(tile.dataset.index))));
      assert.ok(Math.abs(again / 50_000 - 0.74) < 0.03, `after a reload picture ${again} is in view`);
      await page.evaluate(watch);
      // A thumb that flies over everything must not ask for everything.
      pages = 0;
      const frames = await page.evaluate(async (to) => {
        const gaps = [];
        let last = performance.now();
        for (let i = 0; i <= 60; i += 1) {
          scrollTo(0, (to * i) / 60);
          await new Promise(requestAnimationFrame);
          gaps.push(performance.now() - last);
          last = performance.now();
        }
        return gaps.sort((a, b) => a - b);
      }, height);
      await settled();
      assert.ok(pages < 60, `${pages} pages while the thumb flew over 500`);
      // Steady reading: a wheel's worth each frame, with pictures coming in.
      await page.evaluate(async () => {
        scrollTo(0, 0);
        for (let i = 0; i < 60; i += 1) { scrollBy(0, 90); await new Promise(requestAnimationFrame); }
      });
      assert.ok(await nodes() < 1500);
      // 100 ms is where people begin to feel a delay (RAIL); the rest leaves room for a busy two-core machine
      // without a GPU, and is far below what laying out all 50,000 at once would take.
      const longest = await page.evaluate(() => window.longest);
      assert.ok(longest < 250, `a task took ${longest} ms`);
      console.log(`# 50,000 pictures: jumps ${times.map(Math.round).join(', ')} ms; flying p50 ${frames[30].toFixed(1)} ms a frame; longest task ${longest} ms; ${await nodes()} nodes`);
    }, {base: large.url});
  } finally { await large.close(); }
});
