// The language model of the page about streams.
export const tokensOf = async (question: string, part: number): Promise<string> =>
  `${question.split(' ').at(part) ?? ''} `;
