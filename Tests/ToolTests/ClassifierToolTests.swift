import Foundation
import Testing

@Suite struct ClassifierToolTests {
  private func run(_ arguments: String..., cache: Folder) throws -> Tool.Result {
    try Tool.run(["classifier"] + arguments, environment: ["TORCH_HOME": cache.path("torch")])
  }

  @Test func randomWeights() throws {
    let folder = try Folder()
    let bare = try run("squeezenet1_1", "--classes", "3", "--weights", "none", "--json", cache: folder).json
    #expect(bare["parameters"] as? Int == 724_035 && bare["output"] is NSNull && bare["weights"] is NSNull)
    #expect(
      bare["head"] as? String == "classifier.1" && bare["features"] as? Int == 512 && bare["classes"] as? Int == 3)
    #expect(try folder.names.isEmpty)
    let file = folder.path("net.safetensors")
    let result = try run("squeezenet1_1", "--classes", "3", "--weights", "none", "-o", file, cache: folder)
    #expect(
      result.output == """
        squeezenet1_1 for 3 classes: 724035 parameters, new classifier.1 of 512 features
        Weights of seed 0
        Saved \(file)

        """)
    #expect(result.error.isEmpty)
    #expect(
      try run("squeezenet1_1", "--classes", "3", "--weights", "none", "-o", file, cache: folder).error.contains(
        "exists already"))
    // From a file, with what PyTorch would draw; the rest stays.
    let other = folder.path("other.pt")
    let again = try run(
      "squeezenet1_1", "--classes", "5", "--weights", file, "--head", "init", "-o", other, "--json", cache: folder)
    #expect(try again.json["weights"] as? String == file)
    let difference = try Tool.run("diff", file, other, "--json").json
    let differing = (difference["differing"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
    #expect(differing?.sorted() == ["classifier.1.bias", "classifier.1.weight"])
  }

  @Test func nothingInTheCache() throws {
    let folder = try Folder()
    let result = try run("resnet18", "--classes", "3", "-o", folder.path("out.pt"), cache: folder)
    #expect(result.status == 1 && result.output.isEmpty)
    #expect(
      result.error == """
        mutils: error: resnet18: there are no pretrained weights of it in \(folder.path("torch"))/hub/checkpoints; \
        give a file or an address with --weights, or 'none' for random ones

        """)
    #expect(try folder.names.isEmpty)
  }

  @Test func hashInTheCache() throws {
    let folder = try Folder()
    let cache = folder.path("torch/hub/checkpoints")
    try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: true)
    try Data("abc".utf8).write(to: URL(fileURLWithPath: "\(cache)/resnet18-f37072fd.pth"))
    let wrong = try run("resnet18", "--classes", "3", cache: folder)
    #expect(wrong.status == 1)
    #expect(wrong.error.contains("resnet18-f37072fd.pth: is not what its name says: its SHA-256 begins with ba7816bf"))
    // Right hash, but no checkpoint.
    try FileManager.default.moveItem(atPath: "\(cache)/resnet18-f37072fd.pth", toPath: "\(cache)/resnet18-ba7816bf.pth")
    let right = try run("resnet18", "--classes", "3", cache: folder)
    #expect(right.status == 1 && !right.error.contains("SHA-256") && right.error.contains("resnet18-ba7816bf.pth"))
  }

  @Test func wrongUsage() throws {
    let folder = try Folder()
    for arguments in [
      ["resnet18"], ["--classes", "3"], ["resnet18", "--classes", "x"],
      ["resnet18", "--classes", "3", "--head", "one"],
    ] {
      #expect(try Tool.run(["classifier"] + arguments).status == 64)
    }
    for classes in ["0", "-1", "1048577"] {
      let result = try run("resnet18", "--classes=\(classes)", "--weights", "none", cache: folder)
      #expect(result.status == 1 && result.error.contains("the number must be from 1 to 1048576"))
    }
    #expect(try run("resnet5", "--classes", "3", cache: folder).error.contains("the nearest are"))
    #expect(
      try run("resnet18", "--classes", "3", "--weights", "missing.pt", cache: folder).error.contains(
        "missing.pt: cannot be opened"))
    #expect(try run("resnet18", "--classes", "3", "--weights", "none", "-o", "x.foo", cache: folder).status == 1)
  }
}
