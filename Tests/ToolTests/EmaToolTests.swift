import Testing

@Suite struct EmaToolTests {
  @Test func startsAndResumes() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("nested_net.pt")
    let first = try tool.run("ema", file, file, "-o", tool.path("e.safetensors"))
    #expect(first.status == 0 && first.out.hasPrefix("Averaged 2 checkpoints, 1 update (yolo)\n"))
    let next = try tool.run(
      "ema", file, "--resume", tool.path("e.safetensors"), "-o", tool.path("e.safetensors"), "--force", "--json")
    #expect(next.status == 0 && next.out.contains("\"updates\":2"))
    #expect(try tool.run("ema", file, "--variant", "swa", "--decay", "0.5", "-o", tool.path("x.pt")).status == 64)
    #expect(try tool.run("ema", file).status == 64)
  }

  /// yolo's decay after k updates is 0.9999 (1 - exp(-k / 2000)).
  @Test func shares() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("nested_net.pt")
    let result = try tool.run("ema", file, file, file, "-o", tool.path("e.pt"), "--detailed")
    #expect(result.err.contains("99.9 % of the average is the last checkpoint") && result.err.contains("--variant swa"))
    #expect(result.out.contains("\n  99.9001 %  ") && result.out.contains("\n   0.0000 %  "))
    let mean = try tool.run("ema", file, file, file, "--variant", "swa", "-o", tool.path("m.pt"), "--detailed")
    #expect(mean.err.isEmpty && mean.out.components(separatedBy: " 33.3333 %  ").count == 4)
    #expect(try tool.run("ema", "resnet18", "resnet18", "-o", tool.path("r.pt")).status == 0)
  }
}
