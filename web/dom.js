// Builds elements. Text goes in as text nodes only, so nothing that a pin says is ever read as HTML.

// el('a', {class: 'x', href: '/', onclick: f, hidden: true}, 'text', node, null): null and false children are left out.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const kSvg = 'http://www.w3.org/2000/svg';

// One symbol of icons.svg, hidden from screen readers: the control around it carries the name.
export function icon(name) {
  const svg = document.createElementNS(kSvg, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(kSvg, 'use');
  use.setAttribute('href', `/assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

// A link to a foreign page. Only http and https become links; anything else stays text.
export function foreignLink(address) {
  let url = null;
  try { url = new URL(address); } catch { /* not an address: text */ }
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return document.createTextNode(address);
  return el('a', {class: 'foreign', href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow'},
            url.hostname.replace(/^www\./, ''), icon('link'));
}

export const byId = (id) => document.getElementById(id);

let toastTimer = 0;

// Says one sentence at the foot of the page for a few seconds, and to screen readers.
export function toast(sentence) {
  const box = byId('toast');
  box.textContent = sentence;
  box.classList.add('shown');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove('shown'), 5000);
}
