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

  /// At most ten lines by block unless all are asked for.
  @Test func blocks() throws {
    let result = try Tool.run("intersect", "yolov5n", "yolov5s")
    let lines = result.output.split(separator: "\n")
    #expect(lines.count == 12 && lines[1] == "  model.0: another shape (5 entries)")
    #expect(
      lines[10] == "  … 10 more blocks; --detailed lists every entry" && lines[11] == "Nothing is saved: give -o FILE")
    #expect(try Tool.run("intersect", "yolov5n", "yolov5s", "--detailed").output.split(separator: "\n").count > 280)
    // A pattern, a module's name, and the original's text.
    for text in ["model.24.*", "model.24", "anchors"] {
      let json = try Tool.run("intersect", "yolov5n", "yolov5n", "--exclude", text, "--json").json
      let skipped = try #require(json["skipped"] as? [[String: String]])
      #expect(!skipped.isEmpty && skipped.allSatisfy { $0["name"]?.hasPrefix("model.24.") ?? false })
    }
    let nothing = try Tool.run("intersect", "yolov5n", "yolov5n", "--exclude", "zzz")
    #expect(nothing.error.contains("--exclude 'zzz' leaves nothing out"))
  }
}
