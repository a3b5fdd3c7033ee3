// Numbers as people read them.

export const count = (n) => n.toLocaleString('en-US');

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  if (n < 1000) return plural(n, 'byte');
  const units = ['kB', 'MB', 'GB'];
  let value = n / 1000;
  let unit = 0;
  while (value >= 999.5 && unit + 1 < units.length) { value /= 1000; unit += 1; }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// Below 10 ms one digit after the point, above none.
export const ms = (value) => `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ms`;

export const score = (value) => value.toFixed(2);

// What to call a picture: what somebody wrote, else where it came from, else its size.
export function caption(item) {
  const pin = item.pins?.[0];
  const source = item.source ? item.source.split('/').pop() : '';
  return item.description || pin?.description || item.board_title || pin?.board_title || source ||
      `Picture, ${item.width} by ${item.height} pixels`;
}

// Of a share in [0, 1].
export const percent = (share) => `${Math.round(100 * share)} %`;
