import Testing

@Suite struct StripToolTests {
  @Test func trainingCheckpoint() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("training_checkpoint.pt")
    let result = try tool.run("strip", file, "-o", tool.path("o.pt"))
    #expect(result.status == 0 && result.out.hasPrefix("The average became the model, as float16: "))
    let again = try tool.run("strip", tool.path("o.pt"), "-o", tool.path("p.pt"), "--json")
    #expect(again.status == 0 && again.out.contains("\"usedAverage\":false"))
    #expect(try tool.run("strip", file, "--dtype", "int8").status == 64)
  }
}
