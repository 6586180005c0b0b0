// Golden frames of tool calls, in both codecs. The rule of golden-frames.ts applies to them.

export const TOOLS = [
  {
    from: 'client' as const,
    name: 'tool.claim',
    json: `{"type":"tool.claim","id":"c5","session":"s1","call":"t1"}`,
    msgpack: '84a474797065aa746f6f6c2e636c61696da26964a26335a773657373696f6ea27331a463616c6ca27431',
  },
  {
    from: 'client' as const,
    name: 'tool.result',
    json: `{"type":"tool.result","id":"c6","session":"s1","call":"t1","output":{"lines":65536,"ratio":0.5,"ok":true,"none":null,"low":-129}}`,
    msgpack:
      '85a474797065ab746f6f6c2e726573756c74a26964a26336a773657373696f6ea27331a463616c6ca27431a66f757470757485a56c696e6573ce00010000a5726174696fcb3fe0000000000000a26f6bc3a46e6f6e65c0a36c6f77d1ff7f',
  },
  {
    from: 'client' as const,
    name: 'tool.result with an error',
    json: `{"type":"tool.result","id":"c7","session":"s1","call":"t1","error":"no such file"}`,
    msgpack:
      '85a474797065ab746f6f6c2e726573756c74a26964a26337a773657373696f6ea27331a463616c6ca27431a56572726f72ac6e6f20737563682066696c65',
  },
  {
    from: 'client' as const,
    name: 'tool.decide',
    json: `{"type":"tool.decide","id":"c8","session":"s1","call":"t1","decision":"deny","reason":"not on this machine"}`,
    msgpack:
      '86a474797065ab746f6f6c2e646563696465a26964a26338a773657373696f6ea27331a463616c6ca27431a86465636973696f6ea464656e79a6726561736f6eb36e6f74206f6e2074686973206d616368696e65',
  },
  {
    from: 'client' as const,
    name: 'tool.answer',
    json: `{"type":"tool.answer","id":"c9","session":"s1","call":"t1","question":"q1","action":"accept","content":{"name":"Ann","count":2,"sure":true,"sizes":["S","M"]}}`,
    msgpack:
      '87a474797065ab746f6f6c2e616e73776572a26964a26339a773657373696f6ea27331a463616c6ca27431a87175657374696f6ea27131a6616374696f6ea6616363657074a7636f6e74656e7484a46e616d65a3416e6ea5636f756e7402a473757265c3a573697a657392a153a14d',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.asked',
    json: `{"type":"entry","session":"s1","cursor":"e1.30","time":1767225600000,"event":{"type":"tool.asked","run":"r1","call":"t1","question":"q1","message":"Which size?","schema":{"type":"object","properties":{"size":{"type":"string","enum":["S","M"]}},"required":["size"]},"until":1767225600000}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3330a474696d65d30000019b76daa800a56576656e7487a474797065aa746f6f6c2e61736b6564a372756ea27231a463616c6ca27431a87175657374696f6ea27131a76d657373616765ab57686963682073697a653fa6736368656d6183a474797065a66f626a656374aa70726f7065727469657381a473697a6582a474797065a6737472696e67a4656e756d92a153a14da8726571756972656491a473697a65a5756e74696cd30000019b76daa800',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.answered',
    json: `{"type":"entry","session":"s1","cursor":"e1.31","time":1767225600000,"event":{"type":"tool.answered","run":"r1","call":"t1","question":"q1","action":"accept","content":{"size":"M"},"by":"ada","command":"c9"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3331a474696d65d30000019b76daa800a56576656e7488a474797065ad746f6f6c2e616e737765726564a372756ea27231a463616c6ca27431a87175657374696f6ea27131a6616374696f6ea6616363657074a7636f6e74656e7481a473697a65a14da26279a3616461a7636f6d6d616e64a26339',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.result with an error',
    json: `{"type":"entry","session":"s1","cursor":"e1.21","time":1767225600000,"event":{"type":"tool.result","run":"r1","call":"t1","error":"timed out","by":"server"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3231a474696d65d30000019b76daa800a56576656e7485a474797065ab746f6f6c2e726573756c74a372756ea27231a463616c6ca27431a56572726f72a974696d6564206f7574a26279a6736572766572',
  },
]
