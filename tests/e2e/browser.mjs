// Starts Debian's Chromium through playwright-core, headless and quiet.
// Environment: CHROMIUM names another browser (default /usr/bin/chromium).

import {chromium} from 'playwright-core';

export const startBrowser = () => chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  headless: true,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
