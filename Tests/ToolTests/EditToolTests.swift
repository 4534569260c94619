import Foundation
import Testing

@Suite struct EditToolTests {
  let folder: Folder
  init() throws { folder = try Folder() }

  private func made(_ name: String, _ more: String...) throws -> String {
    try #require(Tool.run(["init", "resnet18", "-o", folder.path(name)] + more).status == 0)
    return folder.path(name)
  }

  @Test func names() throws {
    let file = try made("a.safetensors")
    let result = try Tool.run(
      "edit", file, "--rename", "layer?.*=stage?.*", "--drop", "fc", "-o", folder.path("b.safetensors"), "--json")
    let json = try result.json
    #expect(json["dropped"] as? Int == 2 && json["tensors"] as? Int == 120 && json["added"] as? Int == 0)
    #expect(json["output"] as? String == folder.path("b.safetensors"))
    let back = try Tool.run(
      "edit", folder.path("b.safetensors"), "--rename", "stage?.*=layer?.*", "-o", folder.path("c.safetensors"))
    #expect(
      back.output.hasPrefix("120 tensors: 114 renamed, 0 dropped, 0 added; 0 entries beside them changed\nSaved "))
    let head = try Tool.run("edit", file, "--keep", "fc", "-o", folder.path("fc.pt"))
    #expect(head.status == 0)
    let merged = try Tool.run(
      "edit", folder.path("c.safetensors"), "--merge", folder.path("fc.pt"), "-o", folder.path("d.safetensors"))
    #expect(merged.output.hasPrefix("122 tensors: 0 renamed, 0 dropped, 2 added"))
    #expect(try Tool.run("diff", file, folder.path("d.safetensors")).status == 0)
    // It is the network again.
    #expect(try Tool.run("info", folder.path("d.safetensors"), "--json").json["architecture"] as? String == "resnet18")
  }

  @Test func entries() throws {
    let file = try made("a.safetensors")
    try #require(
      Tool.run("edit", file, "--set", "note=ä=b", "--unset", "format", "-o", folder.path("b.safetensors")).status == 0)
    let text = try String(decoding: Data(contentsOf: folder.url("b.safetensors")).prefix(1 << 20), as: UTF8.self)
    #expect(text.contains(#""note":"ä=b""#) && !text.contains(#""format":"pt""#))
    let whole = folder.path("whole.pt")
    try #require(Tool.run("init", "yolov5n", "--whole-module", "-o", whole).status == 0)
    let set = try Tool.run("edit", whole, "--set", "epoch=7", "--set", "name=x", "-o", folder.path("set.pt"))
    #expect(set.status == 0)
    #expect(try Tool.run("info", folder.path("set.pt"), "--json").json["epoch"] as? Int == 7)
    #expect(try Tool.run("info", folder.path("set.pt"), "--json").json["layers"] as? Int == 214)
  }

  @Test func refusals() throws {
    let file = try made("a.safetensors")
    #expect(try Tool.run("edit", file).status == 64)
    #expect(try Tool.run("edit", file, "--rename", "a").status == 64)
    #expect(try Tool.run("edit", file, "--set", "a").status == 64)
    let twice = try Tool.run("edit", file, "--rename", "layer?.*=layer1.*", "-o", folder.path("b.safetensors"))
    #expect(twice.status == 1 && twice.error.contains("would be the name of two entries"))
    #expect(!FileManager.default.fileExists(atPath: folder.path("b.safetensors")))
    let nothing = try Tool.run("edit", file, "--drop", "zzz", "-o", folder.path("b.safetensors"))
    #expect(nothing.status == 0 && nothing.error.contains("no tensor matches 'zzz'"))
    let whole = try made("whole.pt", "--whole-module")
    let names = try Tool.run("edit", whole, "--drop", "fc", "-o", folder.path("c.pt"))
    #expect(names.status == 1 && names.error.contains("whose names are its classes'"))
    #expect(try Tool.run("edit", whole, "--drop", "fc", "--state-dict", "-o", folder.path("c.pt")).status == 0)
    // Other formats hold tensors alone anyway.
    let tensors = try Tool.run("edit", whole, "--rename", "fc=head", "-o", folder.path("t.safetensors"))
    #expect(tensors.status == 0 && tensors.output.hasPrefix("122 tensors: 2 renamed"))
    let empty = try Tool.run("edit", file, "--keep", "zzz", "-o", folder.path("e.safetensors"))
    #expect(empty.status == 1 && empty.error.contains("no tensor would be left"))
    let alone = try Tool.run("edit", folder.path("c.pt"), "--set", "a=1", "-o", folder.path("d.pt"))
    #expect(alone.status == 1 && alone.error.contains("is a model alone"))
  }
}
