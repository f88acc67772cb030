import { createHash } from 'node:crypto'
import type { Plugin } from 'vite'

/** One attribute of a tag, in double quotes as Vite writes it. */
function attribute(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
}

/**
 * integrity gives the subresource-integrity value of a file (W3C SRI section
 * 3.1): the SHA-384, in base64.
 */
export function integrity(content: string | Uint8Array): string {
  return 'sha384-' + createHash('sha384').update(content).digest('base64')
}

/**
 * addIntegrity writes an integrity attribute into every script and every link
 * to a script or stylesheet of a page.
 *
 * @param html the page
 * @param file gives a file's bytes by the name in src or href, without a
 *   leading "./" or "/"; undefined for a file that is not in the build
 * @throws Error if the page names such a file that is not in the build: a page
 *   with an unchecked script must not be shipped
 */
export function addIntegrity(html: string, file: (name: string) => string | Uint8Array | undefined): string {
  return html.replace(/<(script|link)\b[^>]*>/g, (tag, kind: string) => {
    const rel = attribute(tag, 'rel')
    const name = attribute(tag, kind === 'script' ? 'src' : 'href')
    if (kind === 'link' && rel !== 'stylesheet' && rel !== 'modulepreload') return tag
    if (name === undefined) throw new Error('sri: the page has an inline script')
    const content = file(name.replace(/^\.?\//, ''))
    if (content === undefined) throw new Error(`sri: ${name} is not in the build`)
    const cross = attribute(tag, 'crossorigin') === undefined && !/\scrossorigin[\s>]/.test(tag) ? ' crossorigin' : ''
    return tag.replace(/\s*\/?>$/, `${cross} integrity="${integrity(content)}">`)
  })
}

/**
 * preload names every chunk that the page does not name yet, for addIntegrity: a chunk that is
 * imported later is taken from what was preloaded, and so held to its integrity too, which an
 * import() cannot state (HTML, "fetch a single module script": by the module map).
 */
export function preload(html: string, chunks: readonly string[]): string {
  const links = chunks.filter((name) => !html.includes(name)).sort().map((name) => `    <link rel="modulepreload" crossorigin href="./${name}">\n`)
  return html.replace('</head>', `${links.join('')}  </head>`)
}

/** sri is the Vite plugin that adds integrity to the built index.html. */
export function sri(): Plugin {
  return {
    name: 'salus-sri',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        for (const page of Object.values(bundle)) {
          if (page.type !== 'asset' || !page.fileName.endsWith('.html')) continue
          const html = typeof page.source === 'string' ? page.source : new TextDecoder().decode(page.source)
          const chunks = Object.values(bundle).filter((f) => f.type === 'chunk').map((f) => f.fileName)
          page.source = addIntegrity(preload(html, chunks), (name) => {
            const found = bundle[name]
            if (found === undefined) return undefined
            return found.type === 'chunk' ? found.code : found.source
          })
        }
      },
    },
  }
}
