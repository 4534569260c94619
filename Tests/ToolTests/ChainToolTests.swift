import Foundation
import Testing

/// What one subcommand writes the next one understands, whatever the formats between them.
@Suite struct ChainToolTests {
  static let architectures = ["yolov5n", "resnet18", "yolov6lite_s", "googlenet", "swin_t"]

  /// Two subcommands over a whole module, its state dict, safetensors, shards, and back: equal results.
  @Test(arguments: architectures) func twoSubcommands(name: String) throws {
    let folder = try Folder()
    try #require(Tool.run("init", name, "--whole-module", "-o", folder.path("whole.pt")).status == 0)
    let formats: [(file: String, options: [String])] = [
      ("state.pt", ["--state-dict"]), ("tensors.safetensors", []), ("shards.safetensors", ["--max-shard-size", "4MB"]),
    ]
    var inputs = ["whole.pt"]
    for (file, options) in formats {
      let result = try Tool.run(["convert", folder.path("whole.pt"), "-o", folder.path(file), "--json"] + options)
      inputs.append(try #require(try result.json["output"] as? String))
    }
    var seen: Set<String> = []
    for input in inputs {
      let path = input.hasPrefix("/") ? input : folder.path(input)
      for ending in ["pt", "safetensors"] {
        let (fused, pruned) = (folder.path("fused.\(ending)"), folder.path("pruned.\(ending)"))
        try #require(Tool.run("fuse", path, "-o", fused, "--force").status == 0)
        try #require(Tool.run("prune", fused, "-o", pruned, "--force").status == 0)
        var facts = try Tool.run("info", pruned, "--json").json
        // What the file is called, and its form, differ; the model does not.
        for key in ["format", "bytes", "key", "keys", "packages"] { facts[key] = nil }
        let sparsity = try Tool.run("sparsity", pruned, "--json").json
        let text = try [facts, sparsity].map {
          String(decoding: try JSONSerialization.data(withJSONObject: $0, options: .sortedKeys), as: UTF8.self)
        }
        seen.insert(text.joined())
      }
    }
    #expect(seen.count == 1)
  }

  /// The example of the people who met it: GFLOPs and the number of parameters stay.
  @Test func fusedFiles() throws {
    let folder = try Folder()
    try #require(Tool.run("fuse", "yolov5n", "-o", folder.path("f.safetensors")).status == 0)
    let line = "Model Summary: 157 layers, 1867405 parameters, 115005 gradients, 4.5 GFLOPs\n"
    #expect(try Tool.run("info", folder.path("f.safetensors")).output == line)
    try #require(Tool.run("convert", folder.path("f.safetensors"), "-o", folder.path("g.pt")).status == 0)
    #expect(try Tool.run("info", folder.path("g.pt")).output == line)
    #expect(try Tool.run("find", folder.path("g.pt"), "--type", "BatchNorm2d").status == 1)
    try #require(Tool.run("scale", "--ratio", "1", "-o", folder.path("photo.png")).status == 0)
    #expect(try Tool.run("detect", folder.path("f.safetensors"), folder.path("photo.png"), "--json").status == 0)
  }

  /// A shard's index is what is named, and what is there.
  @Test func shardsAreNamed() throws {
    let folder = try Folder()
    let result = try Tool.run(
      "convert", "resnet18", "-o", folder.path("a.safetensors"), "--max-shard-size", "20MB", "--json"
    ).json
    let output = try #require(result["output"] as? String)
    #expect(output == folder.path("a.safetensors.index.json") && FileManager.default.fileExists(atPath: output))
    let one = try Tool.run(
      "convert", "resnet18", "-o", folder.path("b.safetensors"), "--max-shard-size", "1GB", "--json"
    ).json
    #expect(one["output"] as? String == folder.path("b.safetensors"))
  }
}
