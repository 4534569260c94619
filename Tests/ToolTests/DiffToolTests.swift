import Testing

@Suite struct DiffToolTests {
  @Test func exitStatus() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let file = AveragesTool.fixture("nested_net.pt")
    let equal = try tool.run("diff", file, file)
    #expect(equal.status == 0 && equal.out.hasPrefix("Equal: ") && equal.err.isEmpty)
    let other = try tool.run("diff", file, AveragesTool.fixture("conv_bn_small.pt"), "--json")
    #expect(other.status == 1 && other.out.contains("\"equal\":false") && other.err.isEmpty)
    #expect(try tool.run("diff", file).status == 64)
    #expect(try tool.run("diff", file, tool.path("no.pt")).err.hasPrefix("mutils: error: "))
  }

  /// What is no tensor is told of where it differs, and is no difference.
  @Test func besideTheTensors() throws {
    let folder = try Folder()
    try #require(Tool.run("init", "yolov5n", "--whole-module", "-o", "a.pt", in: folder.url).status == 0)
    try #require(Tool.run("edit", "a.pt", "--set", "epoch=99", "-o", "b.pt", in: folder.url).status == 0)
    let result = try Tool.run("diff", "a.pt", "b.pt", in: folder.url)
    #expect(result.status == 0 && result.output.hasPrefix("Equal: "))
    #expect(result.error.contains("note: beside the tensors: 'epoch' is ") && result.error.contains(" and 99"))
    let same = try Tool.run("diff", "a.pt", "a.pt", in: folder.url)
    #expect(!same.error.contains("beside the tensors: "))
  }
}
