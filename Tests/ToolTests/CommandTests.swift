import Foundation
import Testing

/// What holds for every subcommand: help, exit status, one line for an error, where results go.
@Suite struct CommandTests {
  @Test func versionAndHelp() throws {
    #expect(try Tool.run("--version").output == "0.1.0\n")
    let help = try Tool.run("--help")
    #expect(help.status == 0 && help.error.isEmpty)
    for line in ["INSPECT SUBCOMMANDS:", "OPERATE SUBCOMMANDS:", "FILES SUBCOMMANDS:"] {
      #expect(help.output.contains(line))
    }
    for name in ["info", "sparsity", "fuse", "prune", "convert"] {
      let help = try Tool.run("help", name)
      #expect(help.status == 0 && help.output.contains("Example"), "\(name)")
    }
    for shell in ["bash", "zsh", "fish"] {
      #expect(try Tool.run("--generate-completion-script", shell).output.contains("sparsity"))
    }
  }

  @Test(arguments: [
    ["nonsense"], ["show", "a"], ["prune", "a", "b", "-o", "c.pt"], ["info", "a", "b", "--modules"],
    ["prune", "--amount", "1.5"],
    ["prune", "--amount", "-3"],
    ["prune", "--amount", "x"],
    ["prune", "--pattern", "5:4"], ["prune", "--dim", "0"], ["prune", "--norm", "2"], ["prune", "--seed", "1"],
    ["prune", "--method", "l9"], ["prune", "--remaining", "--method", "ln"], ["info", "--image-size", "0"],
    ["info", "--image-size", "3x4x5"], ["info", "--convention", "x"], ["convert", "a"],
    ["convert", "a", "-o", "b", "--dtype", "int8"],
    ["info", "--threads", "0"], ["fuse", "--eps", "x"],
  ])
  func wrongUsageIs64(_ arguments: [String]) throws {
    let result = try Tool.run(arguments)
    #expect(result.status == 64 && result.output.isEmpty)
    #expect(result.error.hasPrefix("mutils: error: ") && result.error.contains("\nUsage: mutils"))
    let json = try Tool.run(arguments + ["--json"])
    #expect(json.status == 64 && json.output.isEmpty && json.error.hasPrefix("{\"error\":{\"advice\":\"See 'mutils"))
  }

  @Test(arguments: ["info", "sparsity", "fuse", "prune"])
  func missingFilesAndFolders(_ command: String) throws {
    let folder = try Folder()
    let missing = try Tool.run(command, folder.path("no.pt"))
    #expect(missing.status == 1 && missing.output.isEmpty)
    #expect(missing.error == "mutils: error: \(folder.path("no.pt")): cannot be opened: No such file or directory\n")
    let directory = try Tool.run(command, folder.url.path)
    #expect(directory.error == "mutils: error: \(folder.url.path): is a folder; give a file in it\n")
    #expect(try folder.names.isEmpty)
  }

  @Test func filesThatAreNoCheckpoints() throws {
    let folder = try Folder()
    for (name, text, message) in [
      ("empty.pt", "", "is empty"),
      ("page.pt", "<!DOCTYPE html><html>", "is a web page: the download went wrong"),
      (
        "lfs.pt", "version https://git-lfs.github.com/spec/v1\n",
        "is a Git LFS pointer: the real file was not downloaded"
      ),
      ("text.pt", "hello", "is neither a PyTorch checkpoint nor a safetensors file nor an ONNX model"),
    ] {
      try Data(text.utf8).write(to: folder.url(name))
      let result = try Tool.run("info", folder.path(name))
      #expect(result.status == 1)
      #expect(result.error == "mutils: error: \(folder.path(name)): \(message)\n")
    }
  }

  @Test(arguments: ["info", "sparsity", "fuse", "prune"])
  func theDefault(_ command: String) throws {
    let folder = try Folder()
    let result = try Tool.run(command, in: folder.url)
    #expect(result.status == 0)
    let size = command == "info" ? "mutils: note: for a picture of 640 x 640; give --image-size for another\n" : ""
    #expect(result.error == "mutils: note: no model given: using yolov5n, initialised with seed 0\n" + size)
    let quiet = try Tool.run(command, "--quiet", "--threads", "1", in: folder.url)
    #expect(quiet.error.isEmpty && quiet.output == result.output)
    #expect(try folder.names.isEmpty, "the default writes nothing")
  }

  @Test func outputsAreNamedAfterTheInput() throws {
    let folder = try Folder()
    let input = try folder.copy("conv_bn_small.pt", as: "net.pt")
    #expect(try Tool.run("fuse", input).output.hasSuffix("Saved \(folder.path("net-fused.pt"))\n"))
    #expect(try Tool.run("prune", input).status == 0)
    #expect(try folder.names == ["net-fused.pt", "net-pruned.pt", "net.pt"])
    let bare = try folder.copy("bare_state_dict.safetensors", as: "bare.safetensors")
    #expect(try Tool.run("prune", bare).status == 0)
    #expect(try folder.names.contains("bare-pruned.safetensors"))
    let odd = try folder.copy("conv_bn_small.pt", as: "v1.0")
    #expect(try Tool.run("prune", odd).status == 0)
    #expect(try folder.names.contains("v1.0-pruned.pt"))
  }

  @Test func existingFilesStay() throws {
    let folder = try Folder()
    let input = try folder.copy("conv_bn_small.pt", as: "net.pt")
    try Data("mine".utf8).write(to: folder.url("out.pt"))
    let refused = try Tool.run("prune", input, "-o", folder.path("out.pt"))
    #expect(refused.status == 1)
    #expect(refused.error == "mutils: error: \(folder.path("out.pt")): exists already; give --force to replace it\n")
    #expect(try Data(contentsOf: folder.url("out.pt")) == Data("mine".utf8))
    #expect(try Tool.run("prune", input, "-o", folder.path("out.pt"), "--force").status == 0)
    // The input may be the output.
    #expect(try Tool.run("prune", input, "-o", input, "--force", "--amount", "0.5").status == 0)
    #expect(try Tool.run("sparsity", input).output.hasPrefix("0.3"))
    #expect(try folder.names == ["net.pt", "out.pt"])
  }

  @Test func outputsThatCannotBe() throws {
    let folder = try Folder()
    let input = try folder.copy("conv_bn_small.pt", as: "net.pt")
    let format = try Tool.run("prune", input, "-o", folder.path("out.xyz"))
    #expect(format.status == 1 && format.error.contains("out.xyz: its extension names no format that can be written"))
    let elsewhere = try Tool.run("prune", input, "-o", folder.path("no/out.pt"))
    #expect(elsewhere.status == 1)
    #expect(
      elsewhere.error == "mutils: error: \(folder.path("no/out.pt")): cannot be written: No such file or directory\n")
    #expect(try folder.names == ["net.pt"])
  }

  @Test func aPayloadIsNotPassedOn() throws {
    let folder = try Folder()
    let input = Tool.fixture("unsafe_eval.pt")
    let refused = try Tool.run("convert", input, "-o", folder.path("out.pt"), in: folder.url)
    #expect(refused.status == 1)
    #expect(refused.error.contains("loading it in Python would call __builtin__.eval, so it is not written again"))
    #expect(try folder.names.isEmpty)
    #expect(try Tool.run("convert", input, "-o", folder.path("out.safetensors"), in: folder.url).status == 0)
    #expect(try folder.names == ["out.safetensors"])
  }
}
