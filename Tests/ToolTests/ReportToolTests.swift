import Foundation
import Testing

/// `report`: one page about a model, or two.
@Suite struct ReportToolTests {
  private func page(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  /// Nothing is fetched, nothing runs, nothing is larger than it may be.
  private func expectPlain(_ html: String) {
    #expect(html.hasPrefix("<!DOCTYPE html>") && html.hasSuffix("</html>\n") && html.utf8.count < 2_000_000)
    for word in ["<script", "<link", "<img", "url(", " onerror=", "javascript:"] { #expect(!html.contains(word)) }
  }

  @Test func architecture() throws {
    let folder = try Folder()
    let file = folder.path("r.html")
    let result = try Tool.run("report", "resnet18", "-o", file)
    #expect(result.status == 0 && result.output.hasPrefix("Saved \(file): "))
    #expect(result.error == "mutils: note: resnet18: for a picture of 224 x 224; give --image-size for another\n")
    let html = try page(file)
    expectPlain(html)
    #expect(html.contains("Model Summary: 68 layers, 11689512 parameters, 11689512 gradients, 3.6 GFLOPs"))
    for text in ["layer1.0", "BasicBlock", "1×64×56×56", "20 batch norms", "No weight of two axes or more has a zero."]
    {
      #expect(html.contains(text), "\(text)")
    }
    let json = try Tool.run("report", "resnet18", "-o", file, "--force", "--json", "--image-size", "64").json
    let small = try page(file)
    #expect(json["output"] as? String == file && json["bytes"] as? Int == small.utf8.count)
    let models = try #require(json["models"] as? [[String: Any]])
    #expect(models.count == 1 && models[0]["fused"] as? Int == 20 && models[0]["parameters"] as? Int == 11_689_512)
    #expect(small.contains("1×64×16×16"))
  }

  /// The largest of YOLOv5's.
  @Test func size() throws {
    let folder = try Folder()
    let json = try Tool.run("report", "yolov5x", "-o", folder.path("x.html"), "--json").json
    #expect((20_000..<500_000).contains(json["bytes"] as? Int ?? 0))
    expectPlain(try page(folder.path("x.html")))
  }

  @Test func refusals() throws {
    let folder = try Folder()
    let model = try folder.copy("yolov5_tiny.pt", as: "tiny.pt")
    try #require(Tool.run("report", model, "--quiet").status == 0)
    #expect(try folder.names == ["tiny-report.html", "tiny.pt"])
    let again = try Tool.run("report", model)
    #expect(again.status == 1 && again.output.isEmpty)
    #expect(again.error.hasSuffix("tiny-report.html: exists already; give --force to replace it\n"))
    let other = try Tool.run("report", model, "-o", folder.path("x.pt"))
    #expect(other.status == 1 && other.error.hasSuffix("x.pt: is no name of a page; use .html\n"))
    let missing = try Tool.run("report", folder.path("none.pt"), "-o", folder.path("y.html"))
    #expect(missing.status == 1 && missing.error.split(separator: "\n").count == 1)
    for arguments in [
      ["report"], ["report", "resnet18"], ["report", "a", "b", "c", "-o", "x.html"], ["report", model, model],
    ] {
      #expect(try Tool.run(arguments).status == 64)
    }
    #expect(try folder.names == ["tiny-report.html", "tiny.pt"])
  }

  @Test func two() throws {
    let folder = try Folder()
    let (model, pruned, file) = (folder.path("a.pt"), folder.path("b.safetensors"), folder.path("two.html"))
    try #require(Tool.run("init", "yolov5n", "--whole-module", "-o", model).status == 0)
    try #require(Tool.run("prune", model, "--amount", "0.3", "-o", pruned).status == 0)
    let json = try Tool.run("report", model, pruned, "-o", file, "--json", "--quiet").json
    #expect(json["differing"] as? Int == 60 && (json["maxAbs"] as? Double ?? 0) > 0)
    let html = try page(file)
    expectPlain(html)
    #expect(html.contains("<h2>Difference</h2>") && html.contains("a.pt and ") && html.contains("share of zeros"))
    let none = try Tool.run("report", "resnet18", "vgg11", "-o", file, "--force")
    #expect(none.status == 0 && none.error.contains("no tensor of the same name"))
  }

  @Test func onnx() throws {
    let folder = try Folder()
    let model = folder.path("m.onnx")
    try #require(Tool.run("convert", "resnet18", "-o", model).status == 0)
    let result = try Tool.run("report", model)
    #expect(result.status == 0)
    let html = try page(folder.path("m-report.html"))
    expectPlain(html)
    #expect(html.contains("By operator") && html.contains("Conv") && html.contains("GMACs") && html.contains("opset"))
  }

  @Test func stateDict() throws {
    let folder = try Folder()
    let file = folder.path("s.html")
    let result = try Tool.run("report", Tool.fixture("bare_state_dict.safetensors"), "-o", file)
    #expect(result.status == 0 && result.error.contains("no graph"))
    let html = try page(file)
    expectPlain(html)
    #expect(html.contains("There is no graph") && html.contains("What could be fused is not known"))
  }

  /// Names from a file stand on the page as text and as nothing else.
  @Test func hostileNames() throws {
    let folder = try Folder()
    let names = [
      "<script>alert(1)</script>.weight", "</svg><img src=x onerror=y>.weight", "a\u{202e}b.weight", "q\"'&.weight",
    ]
    var header: [String: Any] = [:]
    for (index, name) in names.enumerated() {
      header[name] =
        ["dtype": "F32", "shape": [2, 2], "data_offsets": [index * 16, index * 16 + 16]] as [String: Any]
    }
    let json = try JSONSerialization.data(withJSONObject: header)
    var data = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
    for value in 0..<names.count * 4 { withUnsafeBytes(of: Float(value)) { data.append(contentsOf: $0) } }
    try data.write(to: folder.url("h.safetensors"))
    let result = try Tool.run("report", folder.path("h.safetensors"), "--quiet")
    #expect(result.status == 0, "\(result.error)")
    let html = try page(folder.path("h-report.html"))
    expectPlain(html.replacingOccurrences(of: "&lt;img src=x onerror=y&gt;", with: ""))
    #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && html.contains("a\\u{202e}b"))
    #expect(!html.unicodeScalars.contains("\u{202e}") && !html.contains("\"'&."))
  }
}
