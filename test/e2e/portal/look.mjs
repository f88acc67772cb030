// What every view is held to: axe-core finds nothing, nothing is wider than the screen, the policy of the page was
// not violated, and nothing was thrown.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const shots = process.env.SALUS_SHOTS;

// Each size and each colour once; pictures are taken of all four.
const pairs = shots ? [["light", "desktop"], ["light", "phone"], ["dark", "desktop"], ["dark", "phone"]] : [["light", "desktop"], ["dark", "phone"]];
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/** look holds the view that a page shows to its rules. faults are what the page has thrown. */
export async function look(page, name, faults, { fullPage = true } = {}) {
  for (const [scheme, size] of pairs) {
    await page.evaluate((s) => document.documentElement.setAttribute("data-mantine-color-scheme", s), scheme);
    await page.setViewport(sizes[size]);
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
    const found = await page.evaluate(
      async (runOnly) => (await window.axe.run(document, { runOnly })).violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 300) + " " + n.failureSummary).join(" | ")}`),
      rules,
    );
    if (shots) await page.screenshot({ path: join(shots, `${name}-${scheme}-${size}.png`), fullPage });
    assert.deepEqual(found, [], `${name} ${scheme} ${size}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, `${name} ${size}: wider than the screen`);
  }
  await page.evaluate(() => document.documentElement.setAttribute("data-mantine-color-scheme", "light"));
  await page.setViewport(sizes.desktop);
  assert.deepEqual(await page.evaluate(() => window.violations ?? []), [], `${name}: the policy was violated`);
  assert.deepEqual(faults, [], name);
}

/** picture looks at a view only where pictures are taken: one that differs little from one that is always looked at. */
export const picture = async (...view) => (shots ? look(...view) : undefined);
