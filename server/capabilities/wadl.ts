import type { Capability } from './capabilities.ts'

/**
 * The capabilities as a WADL document: one resource a path, with its parameters and methods.
 *
 * @param base `https://…/dicom-web`
 * @see Web Application Description Language, W3C Member Submission 31 August 2009; PS3.18 8.9
 */
export function toWADL(capabilities: Capability[], base: string): string {
  const resources = resourcesOf(capabilities).map(
    ({ path, param, method }) =>
      `    <resource path="${escaped(path)}">\n${param
        .map(
          ({ name }) =>
            `      <param name="${escaped(name)}" style="template" type="xs:string" required="true"/>\n`,
        )
        .join('')}${method.map(methodXML).join('')}    </resource>\n`,
  )
  return `<?xml version="1.0" encoding="UTF-8"?>
<application xmlns="http://wadl.dev.java.net/2009/02" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <resources base="${escaped(base)}">
${resources.join('')}  </resources>
</application>
`
}

/** The same tree with the same names as JSON, for which PS3.18 gives no form. */
export function toJSON(capabilities: Capability[], base: string): object {
  return { application: { resources: { base, resource: resourcesOf(capabilities) } } }
}

interface Resource {
  path: string
  param: { name: string; style: 'template' }[]
  method: {
    name: string
    request: { representation: { mediaType: string }[] }
    response: { representation: { mediaType: string }[] }
  }[]
}

function resourcesOf(capabilities: Capability[]): Resource[] {
  const resources = new Map<string, Resource>()
  for (const { method, path, takes, answers } of capabilities) {
    const resource = resources.get(path) ?? {
      path: path.replace(/^\//, ''),
      param: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name: name as string,
        style: 'template' as const,
      })),
      method: [],
    }
    resources.set(path, resource)
    resource.method.push({
      name: method,
      request: { representation: takes.map((mediaType) => ({ mediaType })) },
      response: { representation: answers.map((mediaType) => ({ mediaType })) },
    })
  }
  return [...resources.values()]
}

function methodXML({ name, request, response }: Resource['method'][number]): string {
  const part = (element: string, { representation }: Resource['method'][number]['request']) =>
    representation.length === 0
      ? ''
      : `        <${element}>\n${representation
          .map(({ mediaType }) => `          <representation mediaType="${escaped(mediaType)}"/>\n`)
          .join('')}        </${element}>\n`
  return `      <method name="${name}">\n${part('request', request)}${part('response', response)}      </method>\n`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
