// A polygon over a picture, drawn so that it is seen on any ground. Whoever shows it gives its place: the element fills the
// nearest positioned one.

const kSvg = 'http://www.w3.org/2000/svg';

// `points` are [x, y] within {width, height}.
export function outline(points, {width, height}) {
  const svg = document.createElementNS(kSvg, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'outline');
  svg.setAttribute('aria-hidden', 'true');
  for (const kind of ['halo', 'stroke']) {
    const polygon = document.createElementNS(kSvg, 'polygon');
    polygon.setAttribute('points', points.map((point) => point.join(',')).join(' '));
    polygon.setAttribute('class', kind);
    svg.append(polygon);
  }
  return svg;
}

// The share of {width, height} that a polygon covers, in [0, 1].
export function share(points, {width, height}) {
  const twice = points.reduce((sum, [x, y], i) => {
    const [u, v] = points[(i + 1) % points.length];
    return sum + x * v - u * y;
  }, 0);
  return Math.min(1, Math.abs(twice) / (2 * width * height));
}

// Where a hit shows what the query shows, by the keypoints that both have: an outline over the whole hit, or null where
// it is about all of it, or unknown.
export function partOf(evidence) {
  const region = evidence?.tokens?.region ?? [];
  const unit = {width: 1, height: 1};
  return region.length > 2 && share(region, unit) < 0.9 ? outline(region, unit) : null;
}
