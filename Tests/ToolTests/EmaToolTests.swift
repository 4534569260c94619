import Testing

@Suite struct EmaToolTests {
  @Test func startsAndResumes() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("nested_net.pt")
    let first = try tool.run("ema", file, file, "-o", tool.path("e.safetensors"))
    #expect(first.status == 0 && first.out.hasPrefix("Averaged 2 checkpoints, 1 updates (yolo)\n"))
    let next = try tool.run(
      "ema", file, "--resume", tool.path("e.safetensors"), "-o", tool.path("e.safetensors"), "--force", "--json")
    #expect(next.status == 0 && next.out.contains("\"updates\":2"))
    #expect(try tool.run("ema", file, "--variant", "swa", "--decay", "0.5", "-o", tool.path("x.pt")).status == 64)
    #expect(try tool.run("ema", file).status == 64)
  }
}
