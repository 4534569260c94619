import Foundation
import Testing

/// `info`, `models` and `show`: what is told of a model, of many, of one tensor.
@Suite struct InfoToolTests {
  @Test func theModelsOwnSize() throws {
    for (name, size) in [("resnet18", 224), ("inception_v3", 299), ("efficientnet_b1", 240), ("yolov5n", 640)] {
      let result = try Tool.run("info", name, "--json").json
      #expect(result["imageSize"] as? [Int] == [size, size])
    }
    let text = try Tool.run("info", "resnet18")
    #expect(text.output == "Model Summary: 68 layers, 11689512 parameters, 11689512 gradients, 3.6 GFLOPs\n")
    #expect(text.error == "mutils: note: for a picture of 224 x 224; give --image-size for another\n")
    let macs = try Tool.run("info", "resnet18", "--convention", "macs", "--quiet")
    #expect(macs.output.hasSuffix(", 1.8 GMACs\n") && macs.error.isEmpty)
  }

  @Test func overview() throws {
    let folder = try Folder()
    let file = folder.path("model.pt")
    try #require(Tool.run("init", "yolov5n", "--whole-module", "-o", file).status == 0)
    let lines = try Tool.run("info", file, "--overview", "--quiet").output.split(separator: "\n").dropFirst()
    #expect((6...10).contains(lines.count) && lines.allSatisfy { $0.hasPrefix("  ") })
    #expect(lines.contains { $0.hasPrefix("  format   torch, ") && $0.hasSuffix(" MB, 'model'") })
    #expect(lines.contains("  class    models.yolo.DetectionModel, detect"))
    #expect(lines.contains("  strides  8 16 32"))
    #expect(lines.contains("  state    57 batch norms"))
    #expect(lines.contains("  tensors  7.5 MB of float32 in 292 tensors, 456 bytes of int64 in 57 tensors"))
    #expect(lines.contains("  needs    torch, models to load in Python"))
    let json = try Tool.run("info", file, "--json", "--tensors").json
    #expect(json["totalMacs"] as? Int == 2_234_060_800 && json["classes"] as? Int == 80)
    #expect((json["tensors"] as? [[String: Any]])?.first?["shape"] as? [Int] == [16, 3, 6, 6])
    #expect((json["memory"] as? [String: Int])?["input"] == 4 * 3 * 640 * 640)
  }

  @Test func modules() throws {
    let whole = try Tool.run("info", "yolov5n", "--modules", "--depth", "0", "--quiet").output.split(separator: "\n")
    #expect(whole.count == 3)
    #expect(whole[1] == "parameters   share          MACs     output  name (type)")
    #expect(whole[2] == " 1,872,157 100.00% 2,234,060,800 1x25200x85  . (DetectionModel)")
    let top = try Tool.run(
      "info", "yolov5n", "--modules", "--depth", "2", "--sort", "parameters", "--top", "4", "--quiet"
    ).output.split(separator: "\n")
    #expect(top.count == 6 && top[3].hasSuffix("  model (Sequential)") && top[4].hasSuffix("  model.8 (C3)"))
    #expect(try Tool.run("info", "yolov5n", "--top", "4").status == 64)
  }

  @Test func several() throws {
    let result = try Tool.run("info", "yolov5n", "resnet18")
    #expect(
      result.output == """
        model     layers     parameters      gradients    GFLOPs      size
        yolov5n      214      1,872,157      1,872,157       4.6       640
        resnet18      68     11,689,512     11,689,512       3.6       224

        """)
    let rows = try Tool.run("info", "yolov5n", "resnet18", "--json").json["models"] as? [[String: Any]]
    #expect(rows?.compactMap { $0["model"] as? String } == ["yolov5n", "resnet18"])
    #expect(rows?.first?["parameters"] as? Int == 1_872_157)
    #expect(try Tool.run("info", "yolov5n", "resnet18", "--modules").status == 64)
  }

  @Test func models() throws {
    let result = try Tool.run("models", "resnet[15]*")
    #expect(
      result.output == """
        name          parameters    GFLOPs   size
        resnet18      11,689,512       3.6    224
        resnet50      25,557,032       8.3    224
        resnet101     44,549,160      15.7    224
        resnet152     60,192,808      23.2    224

        """)
    let rows = try #require(try Tool.run("models", "--json").json["models"] as? [[String: Any]])
    #expect(rows.count > 100 && rows.allSatisfy { $0["parameters"] is Int && $0["imageSize"] is [Int] })
    let none = try Tool.run("models", "resnett18")
    #expect(none.status == 1 && none.error.contains("the nearest are resnet18"))
  }

  @Test func show() throws {
    let result = try Tool.run("show", "resnet18", "bn1.running_var", "--bins", "2")
    #expect(result.output.hasPrefix("bn1.running_var: float32 [64], 256 bytes\n[1. 1. 1."))
    #expect(result.output.hasSuffix("64 elements: min 1, max 1, mean 1, deviation 0\n0 zero, 0 not finite\n"))
    let json = try Tool.run("show", "resnet18", "layer1.0.*.weight", "--json").json
    let tensors = try #require(json["tensors"] as? [[String: Any]])
    #expect(
      tensors.compactMap { $0["name"] as? String } == ["conv1", "bn1", "conv2", "bn2"].map { "layer1.0.\($0).weight" })
    let summary = try #require(tensors[0]["summary"] as? [String: Any])
    #expect((summary["histogram"] as? [Int])?.reduce(0, +) == 36864 && summary["zeros"] as? Int == 0)
    let missing = try Tool.run("show", "resnet18", "bn1.runing_var")
    #expect(missing.status == 1 && missing.error.contains("the nearest are bn1.running_var"))
  }

  /// A histogram as wide as its fullest part.
  @Test func histogram() throws {
    let lines = try Tool.run("show", "resnet18", "conv1.weight", "--bins", "5").output.split(separator: "\n")
    let bars = lines.suffix(5)
    #expect(bars.allSatisfy { $0.contains(" |") && $0.split(separator: "|")[1].count == 40 })
    #expect(bars.contains { $0.contains("|" + String(repeating: "#", count: 40) + "|") })
    #expect(lines.contains("…"))
    #expect(
      try Tool.run("show", "resnet18", "conv1.weight", "--values").output.split(separator: "\n").count > lines.count)
  }
}
