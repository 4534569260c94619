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

  /// One line for each kind of finding, and packages by their names.
  @Test func groups() throws {
    let folder = try Folder()
    let file = folder.path("model.pt")
    try #require(Tool.run("init", "yolov5n", "--whole-module", "-o", file).status == 0)
    let lines = try Tool.run("check", file).output.split(separator: "\n")
    #expect(lines.count == 4 && lines[0].hasPrefix("The pickles make objects of yolov5: they are as safe as the code"))
    #expect(lines[1].hasPrefix("  suspicious: Python would make objects of yolov5: Bottleneck, C3, Concat, "))
    #expect(lines[3].hasSuffix("(and 56 more of this kind; --detailed lists them)"))
    #expect(try Tool.run("check", file, "--detailed").output.split(separator: "\n").count == 66)
    #expect(try Tool.run("check", file, "--fail-on", "suspicious").status == 1)
    #expect(try Tool.run("check", file, "--strict", "--fail-on", "info").status == 64)
    try #require(Tool.run("convert", file, "-o", folder.path("m.safetensors")).status == 0)
    #expect(try Tool.run("check", folder.path("m.safetensors")).output.hasPrefix("Holds no pickles; "))
  }
}
