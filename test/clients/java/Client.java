// OpenAI clients in Java: Client CLIENT FEATURE. Prints what the programs in other languages print.
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.responses.ResponseCreateParams;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

public final class Client {
  static final String URL = System.getenv("BASE_URL");
  static final String MODEL = System.getenv("MODEL");
  static final String PROMPT = System.getenv("PROMPT");
  static final String SECOND = "And again?";
  static final String OUTPUT = "12 degrees";

  /** The fields that its JSON schema requires. */
  public static final class Place {
    public String city;
    public int degrees;
  }

  /** A tool, by its arguments. */
  public static final class Weather {
    public String city;
  }

  public static void main(String[] words) throws Exception {
    if (words[1].equals("drain")) {
      attempt(words[0], "stream");
      System.in.read();
      attempt(words[0], "stream");
    } else {
      attempt(words[0], words[1]);
    }
    // Threads of the HTTP clients outlive the program by a minute.
    System.exit(0);
  }

  static void attempt(String client, String feature) {
    try {
      System.out.println(client.equals("openai") ? openai(feature) : langchain4j(feature));
    } catch (Exception error) {
      System.out.println("failed: " + error.getClass().getSimpleName());
      error.printStackTrace();
    }
  }

  static String openai(String feature) {
    // With validation, every field of an answer must have the type that OpenAI documents.
    var client = OpenAIOkHttpClient.builder().baseUrl(URL).apiKey("k").responseValidation(true).build();
    var completions = client.chat().completions();
    var request = ChatCompletionCreateParams.builder().model(MODEL).addUserMessage(PROMPT);
    switch (feature) {
      case "plain":
        var response = client.responses().create(ResponseCreateParams.builder().model(MODEL).input(PROMPT).build());
        var said = response.output().get(0).message().get().content().get(0).outputText().get().text();
        if (!said.equals("Turn 1")) throw new IllegalStateException("response: " + said);
        break;
      case "stream":
        try (var chunks = completions.createStreaming(request.build())) {
          return chunks.stream()
              .flatMap(chunk -> chunk.choices().stream())
              .flatMap(choice -> choice.delta().content().stream())
              .peek(text -> System.err.println("piece"))
              .collect(Collectors.joining());
        }
      case "structured":
        var answer = completions.create(request.responseFormat(Place.class).build());
        return show(answer.choices().get(0).message().content().get());
      case "tools":
        var calling = completions.create(request.addTool(Weather.class).build()).choices().get(0).message();
        var call = calling.toolCalls().get().get(0).asFunction();
        check(call.function().arguments(Weather.class).city);
        var output = ChatCompletionToolMessageParam.builder().toolCallId(call.id()).content(OUTPUT).build();
        request.addMessage(calling).addMessage(output);
        break;
      case "second":
        request.addMessage(completions.create(request.build()).choices().get(0).message()).addUserMessage(SECOND);
    }
    return completions.create(request.build()).choices().get(0).message().content().get();
  }

  static String langchain4j(String feature) throws Exception {
    var model = OpenAiChatModel.builder().baseUrl(URL).apiKey("k").modelName(MODEL).strictJsonSchema(true).build();
    List<ChatMessage> history = new ArrayList<>(List.of(UserMessage.from(PROMPT)));
    switch (feature) {
      case "stream":
        var streaming = OpenAiStreamingChatModel.builder().baseUrl(URL).apiKey("k").modelName(MODEL).build();
        var answer = new CompletableFuture<String>();
        streaming.chat(PROMPT, new StreamingChatResponseHandler() {
          @Override
          public void onPartialResponse(String text) {
            System.err.println("piece");
          }

          @Override
          public void onCompleteResponse(ChatResponse response) {
            answer.complete(response.aiMessage().text());
          }

          @Override
          public void onError(Throwable error) {
            answer.completeExceptionally(error);
          }
        });
        return answer.get();
      case "structured":
        var place = JsonObjectSchema.builder().addStringProperty("city").addIntegerProperty("degrees")
            .required("city", "degrees").additionalProperties(false).build();
        var schema = JsonSchema.builder().name("place").rootElement(place).build();
        var format = ResponseFormat.builder().type(ResponseFormatType.JSON).jsonSchema(schema).build();
        var json = model.chat(ChatRequest.builder().messages(history).responseFormat(format).build()).aiMessage().text();
        return show(new com.fasterxml.jackson.databind.ObjectMapper().readValue(json, Place.class));
      case "tools":
        var parameters = JsonObjectSchema.builder().addStringProperty("city").required("city").build();
        var tool = ToolSpecification.builder().name("weather").parameters(parameters).build();
        AiMessage calling = model.chat(ChatRequest.builder().messages(history).toolSpecifications(tool).build()).aiMessage();
        var call = calling.toolExecutionRequests().get(0);
        check(call.arguments().replaceAll(".*:\\s*\"(.*)\"}", "$1"));
        history.addAll(List.of(calling, ToolExecutionResultMessage.from(call, OUTPUT)));
        return model.chat(ChatRequest.builder().messages(history).toolSpecifications(tool).build()).aiMessage().text();
      case "second":
        history.addAll(List.of(model.chat(history).aiMessage(), UserMessage.from(SECOND)));
    }
    return model.chat(history).aiMessage().text();
  }

  static String show(Place place) {
    return place.city + " " + place.degrees;
  }

  static void check(String city) {
    if (!city.equals("Oslo")) throw new IllegalArgumentException(city);
  }
}
