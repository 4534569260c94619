import Foundation
import ModelCore
import SystemPackage
import TestSupport
import Testing

/// Paths as text, as URLs and as FilePaths.
@Suite struct FileLocationTests {
  @Test func allMeanThePath() throws {
    #expect(try "a/b.pt".filePath == FilePath("a/b.pt"))
    #expect(try URL(filePath: "/a/b c.pt").filePath == FilePath("/a/b c.pt"))
    #expect(FilePath("x").filePath == FilePath("x"))
    #expect(
      refusal { _ = try FileBytes(mapping: "/nowhere.pt") }
        == "/nowhere.pt: cannot be opened: No such file or directory")
  }

  @Test func whatIsNoPath() throws {
    let address = try #require(URL(string: "https://example.org/a.pt"))
    #expect(
      throws: ModelError(
        .invalid, "is no URL of a file", subject: "https://example.org/a.pt", advice: "download it first")
    ) {
      _ = try address.filePath
    }
    #expect(refusal { _ = try FileBytes(mapping: "a\0b") } == "a\\u{0}b: a path cannot hold a zero byte")
  }

  @Test func kindsOfErrors() throws {
    func kind(_ body: () throws -> Void) -> ModelError.Kind? {
      do { try body() } catch let error as ModelError { return error.kind } catch {}
      return nil
    }
    #expect(kind { _ = try FileBytes(mapping: "/nowhere.pt") } == .missing)
    #expect(kind { _ = try FileBytes(mapping: "/tmp") } == .unsupported)
    #expect(kind { _ = try Tensor(.float32, [-1]) } == .invalid)
    #expect(kind { _ = try Tensor([1], [2]) } == .mismatch)
    #expect(kind { _ = try Storage(byteCount: Int.max) } == .limit)
    #expect(kind { _ = try tensor(.complex64, [1], [UInt8](repeating: 0, count: 8)).doubles() } == .unsupported)
  }
}
