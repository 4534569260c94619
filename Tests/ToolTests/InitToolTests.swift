import Foundation
import Testing

@Suite struct InitToolTests {
  private static let description = """
    nc: 2
    depth_multiple: 1
    width_multiple: 1
    anchors: 1
    backbone:
      - [-1, 1, Conv, [8, 3, 2]]
    head:
      - [[-1], 1, Detect, [nc, anchors]]
    """

  private func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test func architecturesByName() throws {
    let folder = try Folder()
    let out = folder.path("net.safetensors")
    let result = try Tool.run("init", "squeezenet1_1", "--seed", "1", "-o", out, "--json")
    #expect(result.status == 0 && result.error.isEmpty)
    let json = try result.json
    #expect(json["parameters"] as? Int == 1_235_496 && json["seed"] as? Int == 1 && json["output"] as? String == out)
    let info = try Tool.run("info", out)
    #expect(info.output.contains(", 1235496 parameters, 1235496 gradients"))
    #expect(try Tool.run("init", "squeezenet1_1", "-o", out).error.contains("exists already"))
    let same = try Tool.run("init", "squeezenet1_1", "--seed", "1", "-o", folder.path("net.pt"))
    #expect(same.output == "Built squeezenet1_1 with seed 1: 1,235,496 parameters\nSaved \(folder.path("net.pt"))\n")
    #expect(try Tool.run("diff", out, folder.path("net.pt")).status == 0)
  }

  @Test func architecturesAsWholeModules() throws {
    let folder = try Folder()
    let out = folder.path("whole.pt")
    let result = try Tool.run("init", "resnet18", "--seed", "3", "--whole-module", "-o", out)
    #expect(result.output == "Built resnet18 with seed 3: 11,689,512 parameters\nSaved \(out)\n")
    #expect(try Tool.run("init", "resnet18", "--seed", "3", "-o", folder.path("state.pt")).status == 0)
    #expect(try Tool.run("diff", out, folder.path("state.pt")).status == 0)
    // Unlike the state dict it says all that the class needs.
    #expect(try Tool.run("info", out).output.hasPrefix("Model Summary: 68 layers, 11689512 parameters"))
    #expect(try Tool.run("find", out, "--type", "BasicBlock", "--name", "layer1.0").output.contains("(BasicBlock)"))
    for (arguments, message) in [
      (["resnet18", "-o", "r.safetensors"], "r.safetensors: a whole module is written into a .pt alone"),
      (["resnet18"], "a whole module is written into a .pt alone"),
      ([out, "-o", "again.pt"], "\(out): --whole-module goes with an architecture, not with a file"),
    ] {
      let refused = try Tool.run(["init", "--whole-module"] + arguments, in: folder.url)
      #expect(refused.status == 1 && refused.error == "mutils: error: \(message)\n")
    }
    #expect(try folder.names == ["state.pt", "whole.pt"])
  }

  /// YOLOv5's stand under a key, and are what every command reads from its checkpoints.
  @Test func detectorsAsWholeModules() throws {
    let folder = try Folder()
    let out = folder.path("whole.pt")
    let result = try Tool.run("init", "yolov5n", "--seed", "3", "--whole-module", "-o", out)
    #expect(result.output == "Built yolov5n with seed 3: 1,872,157 parameters\nSaved \(out)\n")
    let summary = "Model Summary: 214 layers, 1872157 parameters, 1872157 gradients, 4.6 GFLOPs"
    #expect(try Tool.run("info", out).output.contains(summary))
    #expect(try Tool.run("info", out, "--key", "model").output.contains(summary))
    let fused = try Tool.run("fuse", out, "-o", folder.path("fused.pt"))
    #expect(fused.output.hasPrefix("Fused 57 batch norms, 1872157 -> 1867405 parameters\n"))
    #expect(try Tool.run("prune", out, "--amount", "0.5", "-o", folder.path("pruned.pt")).status == 0)
    #expect(try Tool.run("init", "yolov5n", "--seed", "3", "-o", folder.path("state.pt")).status == 0)
    #expect(try Tool.run("diff", out, folder.path("state.pt")).status == 0)
    #expect(try Tool.run("check", out).output.contains("dangerous") == false)
    // A number that YAML and Python may read differently.
    try write(Self.description + "\nreleased: 2020-06-25\n", to: folder.path("net.yaml"))
    let refused = try Tool.run("init", "net.yaml", "--whole-module", "-o", "net.pt", in: folder.url)
    #expect(refused.status == 1 && refused.error.contains("its attribute 'yaml' holds what was not understood"))
    #expect(refused.error.contains("(2020-06-25)"))
  }

  @Test func withoutOutputNothingIsWritten() throws {
    let folder = try Folder()
    let result = try Tool.run("init", in: folder.url)
    #expect(result.output == "Built yolov5n with seed 0: 1,872,157 parameters\nNothing is saved: give -o FILE\n")
    #expect(result.error == "mutils: note: no model given: using yolov5n\n")
    try write(Self.description, to: folder.path("net.yaml"))
    #expect(try Tool.run("init", "net.yaml", "--classes", "5", in: folder.url).status == 0)
    #expect(try Tool.run("fuse", "resnet18", in: folder.url).status == 0)
    #expect(try folder.names == ["net.yaml"])
  }

  @Test func descriptions() throws {
    let folder = try Folder()
    // Content decides, not the extension.
    for name in ["net.yaml", "net.txt"] {
      try write(Self.description, to: folder.path(name))
      let result = try Tool.run("info", folder.path(name))
      #expect(result.output.hasPrefix("Model Summary: 9 layers, 295 parameters, 295 gradients"), "\(result)")
    }
    try write(Self.description + "\n  - [-1, 1, Conv, [eval(1)]]", to: folder.path("bad.yaml"))
    let bad = try Tool.run("info", folder.path("bad.yaml"))
    #expect(bad.status == 1 && bad.output.isEmpty)
    #expect(
      bad.error
        == "mutils: error: \(folder.path("bad.yaml")): line 9: 'eval(1)' is no number, name or list; expressions are not evaluated\n"
    )
    try write("a: 1", to: folder.path("other.yaml"))
    #expect(try Tool.run("info", folder.path("other.yaml")).error.hasSuffix("other.yaml: has no 'nc'\n"))
  }

  @Test func wholeModules() throws {
    let folder = try Folder()
    let input = try folder.copy("yolov5_tiny.pt", as: "net.pt")
    let result = try Tool.run("init", input)
    #expect(result.status == 0 && result.output.hasSuffix("Saved \(folder.path("net-initialised.pt"))\n"))
    #expect(try Tool.run("diff", input, folder.path("net-initialised.pt")).status == 0, "weights stay")
  }

  @Test func refusals() throws {
    let folder = try Folder()
    let state = try folder.copy("bare_state_dict.safetensors", as: "state.safetensors")
    for (arguments, reason) in [
      (["init", state], "is a bare state dict, which holds no eps, momentum or inplace"),
      (["init", state, "--classes", "3"], "--classes goes with an architecture, not with a file"),
      (["init", "resnet18", "--classes", "0"], "resnet18: the number of classes must be from 1 to 1048576, not 0"),
      (["init", "resnet18", "--key", "ema"], "resnet18: only PyTorch files have keys to choose from"),
      (["info", "resnet51"], "resnet51: there is no file and no architecture of this name; the nearest are resnet50"),
    ] {
      let result = try Tool.run(arguments)
      #expect(result.status == 1 && result.output.isEmpty)
      #expect(result.error.hasPrefix("mutils: error: ") && result.error.contains(reason), "\(result.error)")
    }
    #expect(try Tool.run("init", "resnet18", "--seed", "x").status == 64)
    #expect(try folder.names == ["state.safetensors"])
  }
}
