// Looks at the page in each frame and writes what it finds, as a JSON array of objects, into #findings:
//   overflow       pixels by which the page is wider than its window
//   low_contrast   texts whose colour and ground are closer than WCAG 2.2 AA allows (4.5, large ones 3)
//   duplicate_ids  ids that stand more than once
//   broken_links   links within the page that lead nowhere
//   unnamed        pictures without a name for screen readers, tables without caption, regions without label
//   unreachable    boxes that scroll sideways and cannot be reached by keyboard
//   unhinted       boxes that scroll sideways and do not show it: a shade needs a ground that moves with the content
//   cut_captions   captions wider than the window, of which a table that scrolls shows the beginning alone
//   small_targets  links of lists and tables, and summaries, less high than a thumb needs: 40 px on a phone, else 24
//   headings       the levels of the headings in order
//   requests       what the page would load from elsewhere
//   lang, title    of the document
const measure = (frame) => {
  const doc = frame.contentDocument;
  const view = frame.contentWindow;
  const all = [...doc.querySelectorAll("*")];
  doc.querySelectorAll("details").forEach((details) => { details.open = true; });

  const channels = (colour) => {
    const found = colour.match(/rgba?\(([^)]+)\)/);
    if (!found) return null;
    const [r, g, b, a = 1] = found[1].split(/[,\s\/]+/).filter(Boolean).map(Number);
    return { r, g, b, a };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(view.getComputedStyle(at).backgroundColor);
      if (colour && colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255, a: 1 };
  };
  const hasText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const lowContrast = [];
  for (const element of all) {
    if (element.closest("svg, style, script, title") || !hasText(element) || !element.getClientRects().length) continue;
    const style = view.getComputedStyle(element);
    const [front, back] = [channels(style.color), ground(element)];
    if (!front) continue;
    const [high, low] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) lowContrast.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  const ids = [...doc.querySelectorAll("[id]")].map((element) => element.id);
  const unnamed = [
    ...[...doc.querySelectorAll("svg[role=img], [role=region]")].filter((element) => !element.getAttribute("aria-label")),
    ...[...doc.querySelectorAll("body svg:not([role=img])")].filter((element) => !element.parentElement.closest("svg")),
    ...[...doc.querySelectorAll("table")].filter((table) => !table.caption),
    ...[...doc.querySelectorAll("img")].filter((image) => !image.alt),
  ].map((element) => element.outerHTML.slice(0, 80));
  const scrolling = all
    .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
    .filter((element) => ["auto", "scroll"].includes(view.getComputedStyle(element).overflowX));
  const unhinted = scrolling
    .filter((element) => !view.getComputedStyle(element).backgroundAttachment.includes("local"))
    .map((element) => element.outerHTML.slice(0, 80));
  const least = view.innerWidth < 640 ? 40 : 24;
  const smallTargets = [...doc.querySelectorAll("nav a, table a, summary")]
    .filter((element) => element.getBoundingClientRect().height < least)
    .map((element) => element.outerHTML.slice(0, 80));
  const unreachable = scrolling
    .filter((element) => element.tabIndex < 0)
    .map((element) => element.outerHTML.slice(0, 80));
  return {
    overflow: Math.max(0, doc.documentElement.scrollWidth - view.innerWidth),
    low_contrast: lowContrast,
    duplicate_ids: [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))],
    broken_links: [...doc.querySelectorAll("a[href^='#']")]
      .map((link) => link.getAttribute("href").slice(1))
      .filter((target) => !doc.getElementById(target)),
    unnamed,
    unreachable,
    unhinted,
    cut_captions: [...doc.querySelectorAll("caption")]
      .filter((caption) => caption.getBoundingClientRect().width > view.innerWidth)
      .map((caption) => caption.textContent),
    small_targets: smallTargets,
    headings: [...doc.querySelectorAll("h1, h2, h3, h4")].map((heading) => Number(heading.tagName[1])),
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    lang: doc.documentElement.lang,
    title: doc.title,
  };
};

addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  document.getElementById("findings").textContent = JSON.stringify(frames.map(measure));
});
