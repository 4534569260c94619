import Testing

@Suite struct IntersectToolTests {
  @Test func aModelWithItself() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("yolov5_tiny.pt")
    let result = try tool.run("intersect", file, file, "-o", tool.path("o.pt"))
    #expect(result.status == 0 && result.out.hasPrefix("Transferred "))
    #expect(try tool.run("diff", file, tool.path("o.pt")).status == 0)
    #expect(try tool.run("intersect", file, file, "-o", tool.path("o.pt")).err.contains("exists already"))
  }
}
