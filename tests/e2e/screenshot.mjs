// Takes a picture of the page of a running server.
//
// node screenshot.mjs URL OUT.png [--query FILE] [--region x,y,w,h] [--status] [--click SELECTOR]... [--dark] [--width N] [--height N]
// With --query the page searches with FILE first, with --status its status panel is open; then each SELECTOR is clicked. Ends with 1 when the page shows an error or reports one.

import {startBrowser} from './browser.mjs';

const words = process.argv.slice(2);
const option = (name, fallback) => { const at = words.indexOf(`--${name}`); return at >= 0 ? words[at + 1] : fallback; };
const [url, out] = words;
if (!url || !out || out.startsWith('--')) {
  console.error('usage: screenshot.mjs URL OUT.png [--query FILE] [--region x,y,w,h] [--status] [--click SELECTOR]... [--dark] [--width N] [--height N]');
  process.exit(2);
}
const width = Number(option('width', '1280'));
const browser = await startBrowser();
try {
  const page = await browser.newPage({viewport: {width, height: Number(option('height', width < 600 ? '800' : '820'))}, deviceScaleFactor: width < 600 ? 2 : 1,
                                      colorScheme: words.includes('--dark') ? 'dark' : 'light', hasTouch: width < 600});
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  await page.goto(url);
  if (option('query', '')) {
    await page.setInputFiles('#file', option('query', ''));
    await page.waitForSelector('#answer-grid .tile, #answer-note .notice', {timeout: 30000});
  } else await page.waitForSelector('.tile, .notice, .cluster', {timeout: 30000});
  const region = option('region', '');
  if (region) {
    await page.waitForURL(/signature=/);
    await page.goto(`${page.url()}&region=${region}`);
    await page.waitForSelector('#answer-grid .tile, #answer-note .notice');
  }
  if (words.includes('--status')) {
    await page.locator('#open-status').click();
    await page.waitForSelector('#status .figures');
  }
  for (let at = 0; at < words.length; at += 1) {
    if (words[at] !== '--click') continue;
    await page.locator(words[at + 1]).first().click();
    await page.waitForTimeout(300);
  }
  await page.waitForFunction(() => [...document.querySelectorAll('.tile img')].every((img) => {
    const box = img.getBoundingClientRect();
    return box.bottom < 0 || box.top > innerHeight || img.complete;
  }));
  await page.waitForTimeout(400);  // fades
  await page.screenshot({path: out});
  const notice = await page.locator('.notice.error').count();
  for (const fault of faults) console.error(fault);
  process.exitCode = notice || faults.length ? 1 : 0;
} finally {
  await browser.close();
}
