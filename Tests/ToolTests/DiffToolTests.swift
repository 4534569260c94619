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
}
