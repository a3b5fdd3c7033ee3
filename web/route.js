// The address of the page is its state: what is searched, where in it, and what narrows it. So addresses can be shared
// and Back and Forward work.
//
// A route: {signature, upload, region, color, text, board, duplicates, show}; '' or null where not set. `duplicates` is
// 'all' for the view of the collection's duplicates. `signature` and `show` are pictures
// (searched with, shown in detail), `upload` is a file of this tab that the server has not named yet, `region` is
// {x, y, width, height} in pixels of the upright picture.

const kSignature = /^[0-9a-f]{32}$/;
const kColor = /^#[0-9a-f]{6}$/;
const kRegion = /^(\d{1,6}),(\d{1,6}),([1-9]\d{0,5}),([1-9]\d{0,5})$/;

export const kHome = Object.freeze({signature: '', upload: '', region: null, color: '', text: '', board: '', duplicates: '', show: ''});

// Reads the query string of an address. What is malformed is taken as not set.
export function parse(search) {
  const from = new URLSearchParams(search);
  const signature = (name) => (kSignature.test(from.get(name) ?? '') ? from.get(name) : '');
  const found = kRegion.exec(from.get('region') ?? '');
  const region = found ? {x: +found[1], y: +found[2], width: +found[3], height: +found[4]} : null;
  const route = {...kHome, signature: signature('signature'), show: signature('show'),
                 text: from.get('text') ?? '', board: from.get('board') ?? ''};
  if (!route.signature && /^\d+$/.test(from.get('upload') ?? '')) route.upload = from.get('upload');
  if (route.signature || route.upload) route.region = region;
  const color = (from.get('color') ?? '').toLowerCase();
  if (kColor.test(color)) route.color = color;
  if (from.get('duplicates') === 'all' && !isSearch(route)) route.duplicates = 'all';
  return route;
}

export const regionText = (r) => `${r.x},${r.y},${r.width},${r.height}`;

// The inverse of parse: '/' or '/?signature=...&region=...'.
export function address(route) {
  const parts = [];
  for (const name of ['signature', 'upload', 'region', 'color', 'text', 'board', 'duplicates', 'show']) {
    if (!route[name]) continue;
    const value = name === 'region' ? regionText(route.region) : encodeURIComponent(route[name]);
    parts.push(`${name}=${value}`);
  }
  return parts.length ? `/?${parts.join('&')}` : '/';
}

export const hasPicture = (route) => Boolean(route.signature || route.upload);
export const isSearch = (route) => hasPicture(route) || Boolean(route.color);
