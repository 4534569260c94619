import Testing

@Suite struct CheckToolTests {
  @Test func verdicts() throws {
    let tool = try AveragesTool()
    defer { tool.remove() }
    let safe = try tool.run("check", AveragesTool.fixture("nested_state_dict.pt"))
    #expect(safe.status == 0 && safe.out == "The pickles are safe; 0 findings\n")
    let fused = try tool.run("check", AveragesTool.fixture("yolov5_tiny_fused.pt"), "--json")
    #expect(fused.status == 0 && fused.out.contains("forward_fuse"))
    let unsafe = try tool.run("check", AveragesTool.fixture("unsafe_system.pt"))
    #expect(unsafe.status == 1 && unsafe.out.contains("dangerous: ") && unsafe.err.isEmpty)
  }
}
