#!/bin/sh
# Finding: LangChain4j's streaming OpenAI model takes an error event in a stream, with which OpenAI-compatible servers report
# a failure after the status 200, for a chunk without text: the answer so far arrives in onCompleteResponse, not in onError.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>0</version>
  <dependencies><dependency>
    <groupId>dev.langchain4j</groupId><artifactId>langchain4j-open-ai</artifactId><version>1.19.0</version>
  </dependency></dependencies>
</project>
XML
mvn --quiet --batch-mode dependency:copy-dependencies -DoutputDirectory=lib >/dev/null
cat >Finding.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.net.InetSocketAddress;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

class Finding {
  static final String CHUNK = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
      + "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half of\"},\"finish_reason\":null}]}\n\n";
  static final String ERROR = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";

  public static void main(String[] words) throws Exception {
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
      exchange.sendResponseHeaders(200, 0);
      exchange.getResponseBody().write((CHUNK + ERROR).getBytes());
      exchange.close();
    });
    server.start();
    var url = "http://127.0.0.1:" + server.getAddress().getPort() + "/v1";
    var result = new CompletableFuture<String>();
    var model = OpenAiStreamingChatModel.builder().baseUrl(url).apiKey("k").modelName("m").build();
    model.chat("hi", new StreamingChatResponseHandler() {
      public void onCompleteResponse(ChatResponse response) {
        result.complete("onCompleteResponse: " + response.aiMessage().text() + ", finish reason " + response.finishReason());
      }
      public void onError(Throwable error) { result.complete("onError: " + error); }
    });
    var seen = result.get(30, TimeUnit.SECONDS);
    System.out.println("langchain4j-open-ai 1.19.0, a chunk and an error event: " + seen);
    var same = seen.equals("onCompleteResponse: Half of, finish reason null");
    System.out.println(same ? "as described: the error is not reported" : "changed: a completed response was expected");
    System.exit(same ? 0 : 1);
  }
}
JAVA
timeout 120 java -cp 'lib/*' Finding.java 2>/dev/null
