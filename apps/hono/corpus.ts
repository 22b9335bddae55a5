export interface Page {
  url: string
  title: string
  text: string
}

/** All of the web that this search engine has seen. */
export const CORPUS: Page[] = [
  page(
    'rfc9110',
    'HTTP semantics',
    'Methods, status codes and header fields of the protocol that the web speaks.',
  ),
  page(
    'rfc9457',
    'Problem details',
    'A JSON document that tells a machine what went wrong with an HTTP request.',
  ),
  page(
    'status-402',
    'Status 402: payment required',
    'Reserved for decades, now the way in which machines ask machines for money.',
  ),
  page('bees', 'How bees find home', 'Bees remember landmarks and the angle of the sun on the way home.'),
  page(
    'bread',
    'Bread without kneading',
    'Flour, water, salt, a little yeast and a long night make good bread.',
  ),
  page(
    'sourdough',
    'Keeping a sourdough',
    'Feed the starter with flour and water, and bread will rise without yeast.',
  ),
  page('glaciers', 'Why glaciers are blue', 'Dense ice absorbs red light, so the glacier looks blue.'),
  page('tides', 'Two tides a day', 'The moon pulls the sea on both sides of the earth.'),
  page('sqlite', 'SQLite in one file', 'A database that lives in one file and in your own process.'),
  page('merkle', 'Merkle trees', 'A tree of hashes proves that a leaf belongs to it.'),
  page('letters', 'Writing letters', 'A letter on paper still reaches those whom no message does.'),
  page('violins', 'What varnish does to a violin', 'Less than the wood, more than players admit.'),
]

function page(name: string, title: string, text: string): Page {
  return { url: `https://example.org/${name}`, title, text }
}
