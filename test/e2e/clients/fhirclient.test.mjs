// fhirclient, SMART's own library: as a program with a token, and in Chromium as an app that a
// person starts, who signs in, chooses a patient and says what the app may do.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";
import { Backend, fhir, observation, operator, staff } from "./network.mjs";

const require = createRequire(import.meta.url);
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FHIR = require("fhirclient");

let backend, patient;

before(async () => {
  const b = await new Backend(["system/*.cruds"]).register();
  backend = FHIR({}, {}).client({ serverUrl: fhir, tokenResponse: { access_token: await b.accessToken() } });
  patient = await backend.create({ resourceType: "Patient", name: [{ family: "Smart", given: ["Sample"] }], birthDate: "1990-05-06" });
  for (let i = 0; i < 12; i++) await backend.create(observation(`Patient/${patient.id}`, 70 + i));
  await backend.create({ resourceType: "Condition", clinicalStatus: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: "active" }] }, code: { text: "Sample condition" }, subject: { reference: `Patient/${patient.id}` } });
});

test("pages, references and changes", async () => {
  const all = await backend.request(`Observation?patient=Patient/${patient.id}&_count=5`, { pageLimit: 0, flat: true });
  assert.equal(all.length, 12);
  const one = await backend.request(`Observation/${all[0].id}`, { resolveReferences: ["subject"] });
  assert.equal(one.subject.resourceType, "Patient");
  const changed = await backend.update({ ...one, subject: all[0].subject, status: "amended" });
  assert.equal(changed.meta.versionId, "2");
  const patched = await backend.patch(`Observation/${all[0].id}`, [{ op: "replace", path: "/status", value: "corrected" }]);
  assert.equal(patched.status, "corrected");
  await assert.rejects(backend.request("Patient/nobody"));
});

// The app is a page on another origin that uses the library as it is.
const pages = {
  "/lib.js": ["text/javascript", () => readFileSync(require.resolve("fhirclient/build/fhir-client.js"))],
  "/launch.html": ["text/html", () => `<script src="/lib.js"></script><script>
    FHIR.oauth2.authorize({ clientId: "browser-app", scope: ${JSON.stringify("launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs")},
      redirectUri: "/index.html", iss: ${JSON.stringify(fhir)}, pkceMode: "required" });</script>`],
  "/index.html": ["text/html", () => `<pre id="out"></pre><script src="/lib.js"></script><script>
    (async () => {
      const out = {};
      try {
        const client = await FHIR.oauth2.ready();
        out.scope = client.state.tokenResponse.scope;
        out.patient = await client.patient.read();
        out.user = client.getFhirUser();
        out.observations = (await client.request("Observation?patient=" + client.patient.id, { pageLimit: 0, flat: true })).length;
        out.condition = await client.request("Condition?patient=" + client.patient.id).then(() => "seen", (e) => e.statusCode ?? e.status);
        out.written = await client.create({ resourceType: "Observation" }).then(() => "written", (e) => e.statusCode ?? e.status);
        await client.refresh();
        out.again = (await client.patient.read()).id;
      } catch (e) { out.error = String(e); }
      document.getElementById("out").textContent = JSON.stringify(out);
      document.title = "done";
    })();</script>`],
};
let app, browser;

before(async () => {
  app = createServer((q, r) => {
    const page = pages[new URL(q.url, "http://app").pathname];
    if (!page) return r.writeHead(404).end();
    r.writeHead(200, { "Content-Type": page[0] }).end(page[1]());
  });
  await new Promise((done) => app.listen(0, "127.0.0.1", done));
  if (chromium) browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
});
after(async () => { await browser?.close(); app?.close(); });

test("a standalone launch in Chromium", { skip: !chromium && "there is no Chromium" }, async () => {
  const origin = `http://127.0.0.1:${app.address().port}`;
  await operator("POST", "/v1/apps", {
    client_id: "browser-app", client_name: "Sample app", token_endpoint_auth_method: "none", redirect_uris: [origin + "/index.html"],
    scopes: ["launch/patient", "openid", "fhirUser", "offline_access", "patient/*.rs"], grant_types: ["authorization_code", "refresh_token"],
  });
  const { code } = await operator("POST", "/v1/codes", { staff });
  const page = await browser.newPage();
  await page.goto(origin + "/launch.html");
  await page.waitForSelector("#code");
  await page.type("#code", "AAAA-AAAA-AAAA-AAAA");
  await Promise.all([page.waitForNavigation(), page.click("button[type=submit]")]);
  assert.ok(await page.$("[role=alert]"), "a wrong code is refused");
  await page.$eval("#code", (e) => { e.value = ""; });
  await page.type("#code", code);
  await Promise.all([page.waitForNavigation(), page.click("button[type=submit]")]);
  // She finds the patient, says what for, and takes one scope away.
  await page.type("#text", "smart");
  await Promise.all([page.waitForNavigation(), page.click("button[value=find]")]);
  await page.click(`input[name=patient][value="${patient.id}"]`);
  await page.$$eval("input[name=purpose]", (all) => all.find((e) => e.value === "TREAT").click());
  await page.$$eval("input[name=scope]", (all) => all.find((e) => e.value.includes("Condition")).click());
  await page.click("button[value=allow]");
  await page.waitForFunction(() => document.title === "done", { timeout: 30000 });
  const out = JSON.parse(await page.$eval("#out", (e) => e.textContent));
  assert.equal(out.error, undefined);
  assert.equal(out.patient.id, patient.id);
  assert.equal(out.user, `Practitioner/${staff}`);
  assert.equal(out.observations, 12);
  assert.equal(out.condition, 403);
  assert.equal(out.written, 403);
  assert.equal(out.again, patient.id);
  assert.ok(!out.scope.includes("Condition"));
});
