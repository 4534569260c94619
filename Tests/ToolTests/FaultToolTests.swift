import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What stands in the way of a run: each is told of in one line, and nothing is lost.
@Suite struct FaultToolTests {
  private func models() throws -> Folder {
    let folder = try Folder()
    try #require(Tool.run("init", "yolov5n", "-o", "a.pt", "--whole-module", in: folder.url).status == 0)
    return folder
  }

  /// Something else under the name that an unfinished output has.
  @Test(arguments: ["mkfifo", "ln a.pt", "ln -s a.pt", "mkdir"])
  func partialFilesOfOthers(_ command: String) throws {
    let folder = try models()
    let before = try Data(contentsOf: folder.url("a.pt"))
    let result = try Tool.shell("\(command) .z.pt.mutils-partial && $M prune a.pt -o z.pt", in: folder)
    #expect(result.status == 1 && result.output.isEmpty)
    #expect(
      result.error
        == "mutils: error: z.pt: cannot be written: .z.pt.mutils-partial beside it is no file of this user's alone; remove that\n"
    )
    #expect(try Data(contentsOf: folder.url("a.pt")) == before)
    #expect(!FileManager.default.fileExists(atPath: folder.path("z.pt")))
  }

  /// What a killed run left is written over.
  @Test func partialFilesOfOurs() throws {
    let folder = try models()
    let result = try Tool.shell("echo rest > .z.pt.mutils-partial && $M prune a.pt -o z.pt && $M info z.pt", in: folder)
    #expect(result.status == 0 && result.output.contains("Model Summary"))
    #expect(try folder.names == ["a.pt", "z.pt"])
  }

  @Test func linksThatLeadToNoFile() throws {
    let folder = try models()
    let result = try Tool.shell(
      "mkdir d && ln -s d/real.pt l.pt && $M prune a.pt -o l.pt && test -L l.pt && $M info d/real.pt", in: folder)
    #expect(result.status == 0 && result.output.contains("Saved l.pt"))
    let nowhere = try Tool.shell("ln -s no/real.pt n.pt && $M prune a.pt -o n.pt", in: folder)
    #expect(nowhere.status == 1 && nowhere.error.contains("cannot be written: No such file or directory"))
    let circle = try Tool.shell("ln -s q.pt q.pt && $M prune a.pt -o q.pt", in: folder)
    #expect(circle.status == 1 && circle.error.split(separator: "\n").count == 1)
  }

  @Test(arguments: [239, 250, 255], [".pt", ".onnx", ".safetensors"])
  func longNames(_ length: Int, ending: String) throws {
    let folder = try models()
    let name = String(repeating: "n", count: length - ending.utf8.count) + ending
    let result = try Tool.run("convert", "a.pt", "-o", name, in: folder.url)
    #expect(result.status == 0, "\(result.error)")
    #expect(try folder.names == ["a.pt", name])
  }

  @Test func namesThatAreNoUTF8() throws {
    let folder = try models()
    for arguments in ["info \"$(printf 'x\\377.pt')\"", "prune a.pt -o \"$(printf 'y\\377.pt')\""] {
      let result = try Tool.shell("$M \(arguments)", in: folder)
      #expect(result.status == 64 && result.error.contains("is no UTF-8"), "\(result.error)")
    }
    #expect(try folder.names == ["a.pt"])
  }

  @Test func filesAreNoFolders() throws {
    let folder = try models()
    let result = try Tool.run("info", "a.pt/", in: folder.url)
    #expect(result.status == 1 && result.error == "mutils: error: a.pt/: is no folder\n")
  }

  @Test func fewDescriptors() throws {
    let folder = try models()
    let few = try Tool.shell("ulimit -n 15; $M prune a.pt -o z.pt", in: folder)
    #expect(few.status == 1)
    #expect(
      few.error
        == "mutils: error: no more than 15 files may be open at once, and 16 are needed; raise the limit (ulimit -n)\n")
    #expect(try Tool.shell("ulimit -n 16; $M prune a.pt -o z.pt", in: folder).status == 0)
  }

  @Test(arguments: [1, 100, 7000]) func filesOfLimitedSize(_ blocks: Int) throws {
    let folder = try models()
    let result = try Tool.shell("ulimit -f \(blocks); $M prune a.pt -o z.pt", in: folder)
    #expect(result.status == 1 && result.error == "mutils: error: z.pt: cannot be written: File too large\n")
    #expect(try folder.names == ["a.pt"])
  }

  /// A signal that a run was told to pass over, as by nohup, does not end it.
  @Test func nohup() throws {
    let folder = try models()
    let script = """
      nohup $M ema $(yes a.pt | head -n 3000) -o e.pt > /dev/null 2>&1 &
      sleep 1; kill -HUP $!; sleep 0.5; kill -0 $! && echo alive; kill -TERM $!; wait $!; echo $?
      """
    let result = try Tool.shell(script, in: folder)
    #expect(result.output == "alive\n143\n", "\(result.output) \(result.error)")
    #expect(try folder.names == ["a.pt"])
  }

  /// A file that is cut short while it is mapped.
  @Test func truncatedWhileItIsRead() throws {
    let folder = try models()
    let script = """
      printf '%s' '{"t":{"dtype":"F32","shape":[200000000],"data_offsets":[0,800000000]}}' > header
      size=$(wc -c < header)
      printf "\\\\$(printf %o $size)\\0\\0\\0\\0\\0\\0\\0" > s.safetensors; cat header >> s.safetensors
      truncate -s $((size + 8 + 800000000)) s.safetensors; rm header
      mkfifo slow; (exec 3< slow; sleep 1; truncate -s 1000 s.safetensors; cat <&3 > /dev/null) &
      $M convert s.safetensors -o - --dtype float16 > slow
      echo $?
      """
    let result = try Tool.shell(script, in: folder)
    #expect(
      result.output == "1\n"
        && result.error
          == "mutils: error: a file was cut short while it was read, or its disk fails: nothing is written\n",
      "\(result.output) \(result.error)")
  }

  /// Texts that are slow to compare, and long numbers, in no more than some seconds.
  @Test func textsThatAreSlowToCompare() throws {
    let folder = try models()
    let name = "a" + String(repeating: "\u{301}\u{323}", count: 100_000)
    let header = "{\"\(name)\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    bytes += Data(header.utf8) + Data(count: 4)
    try bytes.write(to: folder.url("marks.safetensors"))
    let integers = String(repeating: "I" + String(repeating: "9", count: 4000) + "\n", count: 2000)
    try Data("(\(integers)l.".utf8).write(to: folder.url("integers.pkl"))
    let result = try Tool.shell("ulimit -t 20; $M info marks.safetensors; $M check integers.pkl", in: folder)
    #expect(result.status == 1)
    #expect(result.error.contains("a JSON string is not valid UTF-8") && result.output.contains("The pickles are safe"))
  }
}
